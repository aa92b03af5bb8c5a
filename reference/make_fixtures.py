"""Write Tests/Fixtures: encoded images, two tiny random PaliGemmas, and Hugging Face's results on them (goldens).

    python reference/make_fixtures.py [--out Tests/Fixtures]

Every run writes the same bytes. All arithmetic is f32, with eager attention, on one thread. The folder `golden` of a
model has

  images.safetensors   NAME/rgb (u8, on white), NAME/resized (u8), NAME/features (f32); one NAME/pixel_values
  prefill.safetensors  CASE/last_logits of every case, CASE/logits (all positions) of some, and for the rounded
                       weights of tiny: bf16/CASE/last_logits, f16/CASE/last_logits
  layers.safetensors   hidden states of one case: vision/0…, vision/post_layernorm, text/0… (the last one normed)
  cases.json           prompts and ids; greedy ids, log-probabilities and margins; a scored suffix
  cases_none.json      PaliGemma 2: the same of some cases, computed without the window of its sliding layers
  tokenizer.json       strings, their ids, and ids decoded back to text

The folder `tokenizer` has a tokenizer.json of many scripts, and in cases.json texts, ids and the text that they become;
tiny.json is the tokenizer of tiny in this form.
"""
import argparse
import json
import os
import random
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import sentencepiece
import torch
from PIL import Image
from safetensors.torch import save_file

from fixture_images import MAIN, make_bilinear_resizes, make_images, make_resizes, on_white
from fixture_model import DIMS, make_model, save_model, sentences, tokenizer_bytes, write_json
from shapes.tokenizer import save_processor
from tokenizer_texts import Texts, expected, tokenizer_json

SEEDS = {"images": 11, "tiny": 21, "tiny2": 22, "tiny3": 23, "tokenizer": 23}
NEW_TOKENS = 12
BOX = "<loc0100><loc0200><loc0700><loc0899>"
PROMPTS = [("caption en", "a red cube"), ("answer en what is this?", "cat"),
           ("detect cat ; dog", BOX + " cat ; <loc0001><loc0002><loc0003><loc1023> dog"),
           ("segment cat", BOX + "".join(f"<seg{i:03d}>" for i in range(0, 128, 8)) + " cat")]
STRINGS = ["", " ", "  ", "\n", "\n\n", "a", " a", "a ", "caption en", "caption en\n", "answer en what is this?\n",
           "detect cat ; dog\n", "segment cat\n", "cat   dog", "tab\there", "1234567", "naïve café", "日本語 テスト", "🙂☃",
           "<loc0001><loc1023> cat", "<loc001>", "<seg000><seg127>", "<seg128>", "<bos>", "<eos> x", "<pad>", "<unk>",
           "<image>", "a<image>b", "<table>x</table>", "<0x41>", "\u2581x", "x\u2581\u2581y", "\u00a0nbsp", "\r\nwin",
           "e\u0301 combining", "\u0000nul", "<start_of_turn>user", "<unused0>", "   three", "trail   ", "a\n\n\nb",
           "\n" * 7]


def put(path, arrays, **meta):
    tensors = {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v.clone().contiguous() for k, v in arrays.items()}
    save_file(tensors, path, metadata=meta or None)


def write_images(folder):
    os.makedirs(folder)
    names = make_images(folder, SEEDS["images"])
    decoded = {n: on_white(Image.open(f"{folder}/{n}")) for n in names}
    put(f"{folder}/decoded.safetensors", decoded)
    resizes = make_resizes(SEEDS["images"])
    put(f"{folder}/resize.safetensors", resizes)
    put(f"{folder}/resize_bilinear.safetensors", make_bilinear_resizes(resizes))
    return {n: decoded[n] for n in MAIN}


class Golden:
    """Runs Hugging Face's model and processor on the decoded images."""

    def __init__(self, model, processor, tokenizer, pictures):
        self.model, self.processor, self.tokenizer = model, processor, tokenizer
        self.pictures = {n: Image.fromarray(rgb) for n, rgb in pictures.items()}

    def inputs(self, images, prompt, suffix=None):
        x = self.processor(images=[[self.pictures[n] for n in images]], text=["<image>" * len(images) + prompt],
                           suffix=None if suffix is None else [suffix], return_tensors="pt")
        if suffix is None:
            x.pop("labels", None)
        return x

    def text(self, ids):
        """The text by Hugging Face, with U+FFFD for each byte of a run that is not UTF-8."""
        return self.processor.tokenizer.decode(ids, skip_special_tokens=True)

    @torch.no_grad()
    def case(self, name, images, prompt, suffix, arrays, full):
        x = self.inputs(images, prompt)
        length = x["input_ids"].shape[1]
        logits = self.model(**x).logits[0]
        arrays[f"{name}/last_logits"] = logits[-1]
        if full:
            arrays[f"{name}/logits"] = logits
        made = self.model.generate(**x, max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1,
                                   return_dict_in_generate=True, output_logits=True)
        ids = made.sequences[0, length:].tolist()
        rows = torch.stack(made.logits, 1)[0].float()
        best = rows.topk(2, -1).values
        logp = torch.log_softmax(rows, -1)
        margins = (best[:, 0] - best[:, 1]).tolist()
        greedy = dict(ids=ids, logprobs=[float(logp[i, t]) for i, t in enumerate(ids)], margins=margins,
                      min_margin=min(margins), text=self.text(ids))
        y = self.inputs(images, prompt, suffix)
        labels = y.pop("labels")[0]
        logp = torch.log_softmax(self.model(**y).logits[0].float(), -1)
        at = (labels != -100).nonzero()[:, 0]
        scores = [float(logp[i - 1, labels[i]]) for i in at]
        return dict(id=name, images=images, prompt=prompt, input_ids=x["input_ids"][0].tolist(), greedy=greedy,
                    score=dict(suffix=suffix, suffix_ids=[int(labels[i]) for i in at], logprobs=scores, sum=sum(scores)))

    @torch.no_grad()
    def layers(self, images, prompt):
        x = self.inputs(images, prompt)
        out = {f"text/{i}": h[0] for i, h in enumerate(self.model(**x, output_hidden_states=True).hidden_states)}
        seen = self.model.model.vision_tower(x["pixel_values"], output_hidden_states=True)
        out.update({f"vision/{i}": h[0] for i, h in enumerate(seen.hidden_states)})
        return dict(out, **{"vision/post_layernorm": seen.last_hidden_state[0]})

    @torch.no_grad()
    def rounded(self, dtype, images, prompt):
        """The last logits with the weights rounded to dtype, computed in f32."""
        exact = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict({k: v.to(dtype).float() for k, v in exact.items()})
        logits = self.model(**self.inputs(images, prompt)).logits[0, -1].clone()
        self.model.load_state_dict(exact)
        return logits


def tokenizer_cases(tokenizer, seed, text):
    rng = random.Random(seed)
    words = [w for line in sentences(seed + 1, 200) for w in line.split(" ")]
    texts = STRINGS + [rng.choice([" ", "  ", ""]).join(rng.choice(words) for _ in range(rng.randint(1, 9)))
                       for _ in range(60)]
    encode = [dict(text=t, ids=tokenizer.encode(t), decoded=text(tokenizer.encode(t))) for t in texts]
    byte = tokenizer.piece_to_id
    broken = [[byte("<0xE6>")], [byte("<0xE6>"), byte("<0x97>")], [byte("<0xFF>"), byte("<0x41>")],
              [2, *tokenizer.encode("a cat"), 1], [0, 0, 2], [3], [byte("<loc0000>"), byte("<seg127>"), byte("<0xC3>")],
              tokenizer.encode("é☃")[:-1]]
    broken += [[rng.randrange(4, tokenizer.get_piece_size()) for _ in range(6)] for _ in range(20)]
    return dict(encode=encode, decode=[dict(ids=ids, text=text(ids)) for ids in broken])


def write_tokenizer(folder):
    """A tokenizer.json with merges of many scripts, and what Hugging Face's tokenizers makes of texts with it."""
    from tokenizers import Tokenizer

    os.makedirs(folder, exist_ok=True)
    spec = tokenizer_json(SEEDS["tokenizer"], 2000)
    with open(f"{folder}/tokenizer.json", "w") as f:
        json.dump(spec, f, ensure_ascii=False, separators=(",", ":"))
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.encode_special_tokens = True
    texts = Texts(SEEDS["tokenizer"])
    cases = [expected(tokenizer, t) for t in STRINGS + [texts.text() for _ in range(150)]]
    with open(f"{folder}/cases.json", "w") as f:
        json.dump(cases, f, separators=(",", ":"))


def write_model(folder, name, pictures, layout):
    dims, seed = DIMS[name], SEEDS[name]
    os.makedirs(f"{folder}/model"), os.makedirs(f"{folder}/golden")
    with tempfile.TemporaryDirectory() as scratch:  # Hugging Face's tokenizer files are too large to keep
        with open(f"{scratch}/tokenizer.model", "wb") as f:
            f.write(tokenizer_bytes(seed, dims))
        processor = save_processor(scratch, dims["image"], dims["patch"])
        if name == "tiny":  # the same tokenizer in its other form
            os.makedirs(f"{folder}/../tokenizer", exist_ok=True)
            with open(f"{scratch}/tokenizer.json") as f, open(f"{folder}/../tokenizer/tiny.json", "w") as out:
                json.dump(json.load(f), out, ensure_ascii=False, separators=(",", ":"))
        for file in ("tokenizer.model", "preprocessor_config.json"):
            shutil.copy(f"{scratch}/{file}", f"{folder}/model/{file}")
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/model/tokenizer.model")
    pieces = tokenizer.get_piece_size()
    assert processor.image_token_id == pieces
    model = make_model(seed, dims, pieces)
    save_model(model, f"{folder}/model", layout, torch.float32)
    golden = Golden(model, processor, tokenizer, pictures)

    images = {}
    for n, rgb in pictures.items():
        images[f"{n}/rgb"] = rgb
        images[f"{n}/resized"] = np.asarray(golden.pictures[n].resize((dims["image"],) * 2, Image.BICUBIC))
        values = processor.image_processor(golden.pictures[n], return_tensors="pt")["pixel_values"]
        if n == MAIN[0]:
            images[f"{n}/pixel_values"] = values[0]
        with torch.no_grad():
            images[f"{n}/features"] = model.get_image_features(values).pooler_output[0]
    put(f"{folder}/golden/images.safetensors", images)

    arrays, cases = {}, []
    for p, (prompt, suffix) in enumerate(PROMPTS):
        for i, n in enumerate(MAIN):
            cases.append(golden.case(f"{n}|{p}", [n], prompt, suffix, arrays, full=i == 0 and p == 2))
    cases.append(golden.case("multi", ["rgb.png", "photo.jpg"], "caption en", "a red cube", arrays, full=False))
    cases.append(golden.case("odd", ["grey.png"], "Ünï  code ☃🙂\n\ttab 1234567", "x", arrays, full=False))
    for c in cases:
        head = [pieces] * (len(c["images"]) * (dims["image"] // dims["patch"]) ** 2)
        assert c["input_ids"] == head + [2] + tokenizer.encode(c["prompt"] + "\n"), c["id"]
        assert c["score"]["suffix_ids"] == tokenizer.encode(c["score"]["suffix"]) + [1], c["id"]
    if name == "tiny":
        for short, dtype, kind, shard in (("bf16", torch.bfloat16, "saved by 5", 200_000), ("f16", torch.float16, "4.52", None)):
            target = f"{folder}/model_{'bf16_sharded' if shard else short}"
            save_model(model, target, kind, dtype, shard)
            for file in ("tokenizer.model", "preprocessor_config.json"):
                shutil.copy(f"{folder}/model/{file}", f"{target}/{file}")
            arrays[f"{short}/rgb.png|0/last_logits"] = golden.rounded(dtype, ["rgb.png"], PROMPTS[0][0])
    if "window" in dims:
        golden.model = make_model(seed, dict(dims, window=dims["window"] + 4096), pieces)
        none = [golden.case(c["id"], c["images"], c["prompt"], c["score"]["suffix"], {}, full=False) for c in cases[::3]]
        write_json(f"{folder}/golden/cases_none.json", dict(cases=none))
        golden.model = model
    put(f"{folder}/golden/prefill.safetensors", arrays)
    put(f"{folder}/golden/layers.safetensors", golden.layers(["rgb.png"], PROMPTS[0][0]), case="rgb.png|0")
    write_json(f"{folder}/golden/cases.json", dict(layout=layout, pieces=pieces, vocabulary=model.config.text_config.vocab_size,
                                                   image_token=pieces, limit=NEW_TOKENS, cases=cases))
    write_json(f"{folder}/golden/tokenizer.json", tokenizer_cases(tokenizer, seed, golden.text))
    ended = sum(c["greedy"]["ids"][-1] == 1 for c in cases)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, {len(cases)} cases, {ended} end in EOS, "
          f"{len({tuple(c['greedy']['ids']) for c in cases})} different answers, "
          f"least margin {min(c['greedy']['min_margin'] for c in cases):.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "Tests", "Fixtures"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for part in ("images", "tokenizer", "tiny", "tiny2", "tiny3"):
        shutil.rmtree(f"{out}/{part}", ignore_errors=True)
    pictures = write_images(f"{out}/images")
    write_model(f"{out}/tiny", "tiny", pictures, "published")
    write_model(f"{out}/tiny2", "tiny2", pictures, "memory of 5")
    write_model(f"{out}/tiny3", "tiny3", pictures, "saved by 5")
    write_tokenizer(f"{out}/tokenizer")


if __name__ == "__main__":
    main()
