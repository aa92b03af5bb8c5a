#!/usr/bin/env python3
"""Random LoRA adapters in PEFT's form for Tests/Fixtures/tiny and tiny3, with goldens of base and adapter in float32.

    python reference/make_adapters.py

Writes Tests/Fixtures/MODEL/adapters/NAME/{adapter_config.json, adapter_model.safetensors, golden.json}. golden.json has
the greedy ids and log-probabilities that PeftModel computes, unmerged. Every run writes the same bytes.

| name | what |
|---|---|
| plain | rank 4, alpha 8, all linear layers of the decoder |
| rslora | rank 6, alpha 12, use_rslora, queries and values of all towers |
| vision | rank 3, decoder, vision tower and projector |
| ranks | ranks and alphas by pattern |
| projector | the projector saved whole (modules_to_save), rank 2 on the MLP |

Needs torch, transformers 5, peft and pillow.
"""
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import PaliGemmaForConditionalGeneration

FIXTURES = Path(__file__).parent.parent / "Tests/Fixtures"
TEXT = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
VISION = r".*vision_tower.*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
ADAPTERS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=TEXT),
    "rslora": dict(r=6, lora_alpha=12, use_rslora=True, target_modules=["q_proj", "v_proj"]),
    "vision": dict(r=3, lora_alpha=3, target_modules=rf"{TEXT}|{VISION}|.*projector\.linear"),
    "ranks": dict(r=4, lora_alpha=8, target_modules=TEXT, rank_pattern={"layers.0.mlp.down_proj": 7},
                  alpha_pattern={"layers.1.self_attn.q_proj": 20}),
    "projector": dict(r=2, lora_alpha=8, target_modules=["gate_proj", "down_proj"],
                      modules_to_save=["multi_modal_projector"]),
}
CASES = [("rgb.png", "caption en"), ("photo.jpg", "detect cat ; dog"), ("grey.png", "segment cat")]
TOKENS = 8


def prefix(tokenizer, prompt, image_tokens, image_id):
    """Ids as Gloss makes them: image tokens, then BOS, then the prompt and a newline."""
    ids = [image_id] * image_tokens + [tokenizer.bos_id()] + tokenizer.encode(prompt + "\n")
    return torch.tensor([ids])


def draw(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * (0.5 / p.shape[1] ** 0.5))
            elif "modules_to_save" in name:
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)


def cases(model, folder, config):
    import sentencepiece
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "model/tokenizer.model"))
    size = config.vision_config.image_size
    count = (size // config.vision_config.patch_size) ** 2
    found = []
    for name, prompt in CASES:
        picture = Image.open(FIXTURES / "images" / name).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = torch.tensor(list(picture.tobytes()), dtype=torch.float32).reshape(1, size, size, 3)
        pixels = ((pixels * (1 / 255) - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()
        ids = prefix(tokenizer, prompt, count, config.image_token_index if hasattr(config, "image_token_index")
                     else config.image_token_id)
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=torch.zeros_like(ids),
                                 pixel_values=pixels, max_new_tokens=TOKENS, do_sample=False,
                                 return_dict_in_generate=True, output_logits=True)
        tokens = out.sequences[0, ids.shape[1]:].tolist()
        scores = [torch.log_softmax(step[0].double(), -1) for step in out.logits]
        margin = min(float(t[0] - t[1]) for t in (s.topk(2).values for s in scores))
        found.append(dict(image=name, prompt=prompt, ids=tokens, logprobs=[float(s[i]) for s, i in zip(scores, tokens)],
                          margin=margin))
    return found


def main():
    torch.set_num_threads(1)
    for set_name in ("tiny", "tiny3"):
        folder = FIXTURES / set_name
        shutil.rmtree(folder / "adapters", ignore_errors=True)
        for seed, (name, config) in enumerate(ADAPTERS.items()):
            base = PaliGemmaForConditionalGeneration.from_pretrained(
                folder / "model", attn_implementation="eager", dtype=torch.float32).eval()
            model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **config)).eval()
            draw(model, seed)
            out = folder / "adapters" / name
            model.save_pretrained(out)
            (out / "README.md").unlink(missing_ok=True)
            fields = json.loads((out / "adapter_config.json").read_text())
            fields["base_model_name_or_path"] = "base"
            if isinstance(fields["target_modules"], list):
                fields["target_modules"].sort()
            (out / "adapter_config.json").write_text(json.dumps(fields, indent=2) + "\n")
            found = cases(model, folder, base.config)
            (out / "golden.json").write_text(json.dumps(dict(cases=found), indent=1) + "\n")
            print(set_name, name, [c["ids"][:4] for c in found], min(c["margin"] for c in found))


if __name__ == "__main__":
    main()
