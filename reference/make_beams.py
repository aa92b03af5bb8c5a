"""Write golden/beams_bv.json of goldens that make_fixtures.py wrote: big_vision's beam search by the numpy reference.

    python reference/make_beams.py [FOLDER…]

The default is tiny, tiny2 and tiny3 of Tests/Fixtures. Each entry has the case, the number of beams, the most tokens, the
ids (which always end with EOS), their sum of log-probabilities, whether the limit cut the search, and whether noise of 2e-5
on the logits leaves the ids as they are. Needs numpy; 10 s.
"""
import json
import os
import sys

import numpy as np

from checkpoint import load_weights, read_safetensors
from paligemma import PaliGemma

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "Tests", "Fixtures")
WIDTHS, LIMITS, NOISE = (2, 3, 5, 8), (10, 3), 2e-5


class Noisy(PaliGemma):
    """Logits as another order of summation might give them."""
    random = np.random.default_rng(1)

    def logits(self, hidden):
        exact = super().logits(hidden)
        return exact + (self.random.standard_normal(exact.shape) * NOISE).astype(np.float32)


def main():
    for folder in sys.argv[1:] or [f"{FIXTURES}/{name}" for name in ("tiny", "tiny2", "tiny3")]:
        with open(f"{folder}/model/config.json") as file:
            config = json.load(file)
        weights = load_weights(f"{folder}/model")
        model, noisy = PaliGemma(config, weights), Noisy(config, weights)
        features = {key.rsplit("/", 1)[0]: value for key, value in read_safetensors(f"{folder}/golden/images.safetensors").items()
                    if key.endswith("/features")}
        with open(f"{folder}/golden/cases.json") as file:
            cases = json.load(file)["cases"]
        found = []
        for index, case in enumerate(cases):
            seen, width = np.concatenate([features[name] for name in case["images"]]), WIDTHS[index % len(WIDTHS)]
            for limit in LIMITS:
                ids, total, cut = model.search(case["input_ids"], seen, limit, width)
                stable = all(noisy.search(case["input_ids"], seen, limit, width)[::2] == (ids, cut) for _ in range(3))
                found.append(dict(id=case["id"], images=case["images"], prompt=case["prompt"], beams=width, max_tokens=limit,
                                  ids=ids, score=total, cut=cut, stable=stable))
        with open(f"{folder}/golden/beams_bv.json", "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(entry) for entry in found) + "\n]\n")
        print(folder, len(found), "searches,", sum(f["stable"] for f in found), "stable,", sum(f["cut"] for f in found), "cut")


if __name__ == "__main__":
    main()
