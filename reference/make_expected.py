"""Write Tests/Fixtures/shapes/expected.json: Hugging Face's responses to the demo's images with models/gloss-shapes.

    python reference/make_expected.py

Starts from the image files, and so covers image decoding, resizing, both towers, greedy decoding and masks, which are
pasted as big_vision does and compared as run lengths. Computes in f32 on the bf16 weights. Run it again whenever the model or the demo's images change.
"""
import hashlib
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
from PIL import Image

from fixture_images import on_white
from pixels import paste
from shapes.evaluate import Subject
from shapes.masks import MaskDecoder
from shapes.tasks import VIEW_QUESTIONS, parse_boxes

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), ".."))
MODEL = f"{ROOT}/models/gloss-shapes"
ASKED = ("caption", "what", "colour", "count", "is there", "detect", "detect two", "detect absent", "detect one of two",
         "box caption", "segment", "segment two")
LIMIT = 60


@torch.no_grad()
def expected(subject, decoder, file, prompt):
    image = Image.fromarray(on_white(Image.open(f"{ROOT}/demo/{file}")))
    x = subject.processor(images=[[image]], text=["<image>" + prompt], return_tensors="pt")
    x.pop("labels", None)
    made = subject.model.generate(**x, max_new_tokens=LIMIT, do_sample=False, return_dict_in_generate=True, output_logits=True)
    ids = made.sequences[0, x["input_ids"].shape[1]:].tolist()
    rows = torch.stack(made.logits, 1)[0].float()
    best = rows.topk(2, -1).values
    logp = torch.log_softmax(rows, -1)[range(len(ids)), ids]
    text = subject.processor.tokenizer.decode(ids, skip_special_tokens=True)
    pasted = [paste(decoder(codes), box, image.height, image.width) for box, codes, _ in parse_boxes(text) if codes]
    masks = [counts(pixels) for pixels in pasted if pixels is not None]
    return dict(file=file, prompt=prompt, ids=ids, text=text, logprob=round(float(logp.double().sum()), 6),
                min_margin=round(float((best[:, 0] - best[:, 1]).min()), 6), **(dict(masks=masks) if masks else {}))


def counts(pixels):
    """COCO's run lengths, not compressed: outside, inside, outside, … down the columns."""
    flat = np.concatenate([[False], pixels.T.ravel(), [not pixels[-1, -1]]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], ends])).tolist()


def main():
    torch.set_num_threads(1)
    subject, decoder = Subject(MODEL), MaskDecoder(f"{MODEL}/mask-decoder.safetensors")
    with open(f"{ROOT}/demo/manifest.json") as f:
        manifest = json.load(f)
    answers = [expected(subject, decoder, s["file"], q["prompt"])
               for s in manifest["scenes"] for q in s["questions"] if q["task"] in ASKED]
    answers += [expected(subject, decoder, o["views"][0]["file"], "answer en " + q) for o in manifest["objects"] for q in VIEW_QUESTIONS]
    with open(f"{MODEL}/model.safetensors", "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    os.makedirs(f"{ROOT}/Tests/Fixtures/shapes", exist_ok=True)
    with open(f"{ROOT}/Tests/Fixtures/shapes/expected.json", "w") as f:  # one a line: small
        lines = ",\n".join(json.dumps(a, ensure_ascii=False, separators=(",", ":")) for a in answers)
        f.write(f'{{"model_sha256":"{digest}","limit":{LIMIT},"answers":[\n{lines}\n]}}\n')
    print(f"{len(answers)} answers, least margin {min(a['min_margin'] for a in answers):.4f}")


if __name__ == "__main__":
    main()
