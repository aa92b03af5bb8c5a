"""The gloss-shapes model: renders, questions about them, and a small PaliGemma trained on both."""
