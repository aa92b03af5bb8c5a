"""A small SentencePiece model with Gemma's settings, and the Hugging Face files made from it."""
import io
import json

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

EXTRA_PIECES = [f"<loc{i:04d}>" for i in range(1024)] + [f"<seg{i:03d}>" for i in range(128)]


def train_tokenizer(sentences, vocab_size, extra_symbols=(), newlines=1) -> bytes:
    """A serialised BPE model: pad 0, eos 1, bos 2, unk 3, byte fallback, no dummy prefix, as Gemma has it.

    Runs of 1…`newlines` line feeds are pieces of their own. The <loc> and <seg> pieces are appended, as user-defined
    symbols, as PaliGemma does."""
    buffer = io.BytesIO()
    # The trainer does not take line feeds. They have another name until the model is made.
    runs = [f"<LF{i}>" for i in range(1, newlines + 1)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=buffer, model_type="bpe", vocab_size=vocab_size,
        hard_vocab_limit=False, byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, split_digits=True, split_by_unicode_script=True, split_by_number=True,
        split_by_whitespace=True, allow_whitespace_only_pieces=True, character_coverage=1.0, num_threads=1,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        unk_piece="<unk>", control_symbols=["<mask>"], minloglevel=2,
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", *extra_symbols, *runs])
    model = proto.ModelProto.FromString(buffer.getvalue())
    named = {f"<LF{i}>": "\n" * i for i in range(1, newlines + 1)}
    for piece in model.pieces:
        piece.piece = named.get(piece.piece, piece.piece)
    symbols = model.trainer_spec.user_defined_symbols
    for i, symbol in enumerate(symbols):
        symbols[i] = named.get(symbol, symbol)
    for text in EXTRA_PIECES:
        model.pieces.append(proto.ModelProto.SentencePiece(piece=text, score=0.0, type=4))
    return model.SerializeToString()


def padded_vocabulary(pieces):
    """Rows of the embedding: the pieces and <image>, filled up to a multiple of 64."""
    return -(-(pieces + 1) // 64) * 64


def save_processor(folder, image, patch):
    """tokenizer.json and the other processor files beside `folder`/tokenizer.model; returns the processor."""
    from transformers import GemmaTokenizer, PaliGemmaProcessor
    from transformers.convert_slow_tokenizer import SentencePieceExtractor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    parts = SentencePieceExtractor(f"{folder}/tokenizer.model").extract(GemmaTokenizer.model)
    tokenizer = GemmaTokenizer(vocab=parts["vocab"], merges=parts["merges"])
    # The extractor would make every user-defined piece special; they are ordinary pieces that decode to their text.
    control = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    tokenizer.add_tokens([t for t in parts["additional_special_tokens"] if str(t) not in control])
    tokenizer.init_kwargs.pop("vocab", None)
    tokenizer.init_kwargs.pop("merges", None)
    images = SiglipImageProcessorPil(size=dict(height=image, width=image))
    images.image_seq_length = (image // patch) ** 2
    PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    settings = dict(
        do_convert_rgb=None, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3,
        image_processor_type="SiglipImageProcessor", image_seq_length=(image // patch) ** 2, image_std=[0.5] * 3,
        processor_class="PaliGemmaProcessor", resample=3, rescale_factor=1 / 255, size=dict(height=image, width=image))
    with open(f"{folder}/preprocessor_config.json", "w") as f:
        json.dump(settings, f, indent=2)
    return PaliGemmaProcessor.from_pretrained(folder)
