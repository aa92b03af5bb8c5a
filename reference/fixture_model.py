"""Tiny PaliGemmas with random weights, and the layouts that checkpoints come in."""
import json
import os
import random

import numpy as np
import torch
from safetensors.torch import save_file

from shapes.tokenizer import padded_vocabulary, train_tokenizer

DIMS = {
    "tiny": dict(vision_width=48, vision_layers=2, vision_heads=2, vision_mlp=96, patch=14, image=56,
                 width=64, layers=2, heads=4, kv_heads=1, head_dim=32, mlp=128, base_vocab=576),
    "tiny2": dict(vision_width=48, vision_layers=3, vision_heads=3, vision_mlp=100, patch=14, image=70,
                  width=72, layers=3, heads=6, kv_heads=2, head_dim=16, mlp=120, base_vocab=512),
    # PaliGemma 2. The caps and the window are so small that they change the logits.
    "tiny3": dict(vision_width=48, vision_layers=1, vision_heads=2, vision_mlp=80, patch=14, image=56,
                  width=60, layers=3, heads=4, kv_heads=2, head_dim=24, mlp=88, base_vocab=448,
                  query_scalar=15, attention_cap=5.0, logit_cap=10.0, window=12),
}


def sentences(seed, count=5000) -> list:
    """Prompts, phrases and made-up words, some with accents, digits and punctuation."""
    rng = random.Random(seed)
    colours = "red green blue yellow purple orange white black grey cyan brown pink".split()
    things = ("cube sphere cone cylinder torus pyramid cat dog car house tree boat plane table chair person bird "
              "horse flower bottle cup book phone window door street mountain river").split()
    kinds = "small large shiny dark bright old new wooden metal round square tall short open closed".split()
    syllables = [a + b for a in "b c d f g h k l m n p r s t v w st tr pl gr".split()
                 for b in "a e i o u ar en it on es".split()]
    makers = [
        lambda: f"a {rng.choice(kinds)} {rng.choice(colours)} {rng.choice(things)} on the {rng.choice(things)}",
        lambda: f"answer en what is this? {rng.choice(things)}",
        lambda: f"answer en what colour is the {rng.choice(things)}? {rng.choice(colours)}.",
        lambda: f"detect {rng.choice(things)} ; {rng.choice(things)}",
        lambda: f"segment {rng.choice(things)}",
        lambda: rng.choice(["caption en", "describe en"]),
        lambda: f"there are {rng.randrange(2000)} {rng.choice(things)}s, said \"{rng.choice(kinds)}\" (él café Straße)!",
        lambda: " ".join("".join(rng.choice(syllables) for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(3, 8))),
    ]
    return [rng.choice(makers)() for _ in range(count)]


def tokenizer_bytes(seed, dims) -> bytes:
    spaces = ["\u2581" * i for i in range(2, 6)]
    return train_tokenizer(sentences(seed), dims["base_vocab"], ["<unused0>", "<table>", "</table>", *spaces], newlines=4)


def make_model(seed, dims, pieces):
    """Hugging Face's model in f32 with seeded weights. Every term changes the logits; the logits are far apart."""
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    vocab = padded_vocabulary(pieces)
    text = dict(model_type="gemma", hidden_size=dims["width"], intermediate_size=dims["mlp"],
                num_hidden_layers=dims["layers"], num_attention_heads=dims["heads"],
                num_key_value_heads=dims["kv_heads"], head_dim=dims["head_dim"], vocab_size=vocab,
                max_position_embeddings=8192, rms_norm_eps=1e-6, hidden_act="gelu_pytorch_tanh",
                pad_token_id=0, eos_token_id=1, bos_token_id=2)
    if "window" in dims:
        text.update(model_type="gemma2", hidden_activation=text.pop("hidden_act"), sliding_window=dims["window"],
                    query_pre_attn_scalar=dims["query_scalar"], attn_logit_softcapping=dims["attention_cap"],
                    final_logit_softcapping=dims["logit_cap"])
    vision = dict(model_type="siglip_vision_model", hidden_size=dims["vision_width"], layer_norm_eps=1e-6,
                  intermediate_size=dims["vision_mlp"], num_hidden_layers=dims["vision_layers"],
                  num_attention_heads=dims["vision_heads"], patch_size=dims["patch"], image_size=dims["image"],
                  projection_dim=dims["width"], vision_use_head=False, hidden_act="gelu_pytorch_tanh")
    config = PaliGemmaConfig(text_config=text, vision_config=vision, image_token_index=pieces, vocab_size=vocab,
                             projection_dim=dims["width"], hidden_size=dims["width"], pad_token_id=0, eos_token_id=1,
                             bos_token_id=2)
    config._attn_implementation = "eager"
    model = PaliGemmaForConditionalGeneration(config).float().eval()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            values = _weights(name, tuple(p.shape), rng, dims)
            if name.endswith("embed_tokens.weight"):
                values[1] *= 2.0        # <eos> is drawn sometimes
                values[pieces:] *= 0.05  # <image> and the padding rows are never drawn
            p.copy_(torch.from_numpy(values.astype(np.float32)))
    model.tie_weights()
    model.generation_config.update(pad_token_id=0, eos_token_id=1, bos_token_id=2, cache_implementation=None)
    return model


def _weights(name, shape, rng, dims):
    values, fan_in = rng.standard_normal(shape), np.prod(shape[1:])
    if name.endswith("embed_tokens.weight"):
        return values / np.sqrt(dims["width"])
    if name.endswith("position_embedding.weight"):
        return values * 0.5
    if "norm" in name.split(".")[-2]:
        if name.endswith("bias"):
            return values * 0.2
        if "vision_tower" in name:
            return 1 + values * 0.3   # LayerNorm: about 1
        if name.endswith("language_model.norm.weight"):
            return 2 + values * 0.5   # larger, so that the logits are far apart
        return values * 0.3           # Gemma's RMSNorm multiplies by 1 + w
    if name.endswith("bias"):
        return values * 0.1
    gain = 1.0
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        gain = 5.0
    elif name.endswith(("q_proj.weight", "k_proj.weight")):
        gain = 1.7
    elif name.endswith(("patch_embedding.weight", "multi_modal_projector.linear.weight")):
        gain = 2.0
    return values * gain / np.sqrt(fan_in)


# The prefixes of the tensor names in each layout: (text, vision, projector).
LAYOUTS = {
    "published": ("language_model.model.", "vision_tower.vision_model.", "multi_modal_projector."),
    "4.52": ("model.language_model.", "model.vision_tower.vision_model.", "model.multi_modal_projector."),
    "saved by 5": ("language_model.model.", "vision_tower.", "multi_modal_projector."),
    "memory of 5": ("model.language_model.", "model.vision_tower.", "model.multi_modal_projector."),
}


def tensors(model, layout, dtype) -> dict:
    """The model's tensors, rounded to `dtype`, by the names of a layout."""
    text, vision, projector = LAYOUTS[layout]
    out = {}
    for name, values in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        name = name.replace("model.vision_tower.vision_model.", "model.vision_tower.", 1)
        for current, new in (("model.language_model.", text), ("model.vision_tower.", vision),
                             ("model.multi_modal_projector.", projector)):
            if name.startswith(current):
                name = new + name.removeprefix(current)
                break
        else:
            raise KeyError(name)
        out[name] = values.detach().to(dtype).contiguous().clone()
    return out


def save_model(model, folder, layout, dtype, shard_bytes=None):
    """Writes config.json and the tensors, in one file or in shards with an index."""
    os.makedirs(folder, exist_ok=True)
    config = dict(model.config.to_dict(), architectures=["PaliGemmaForConditionalGeneration"])
    for part in (config, config["text_config"], config["vision_config"]):
        part.pop("_attn_implementation", None)
        part.pop("dtype", None)
    config["torch_dtype"] = str(dtype).removeprefix("torch.")
    write_json(f"{folder}/config.json", config)
    write_json(f"{folder}/generation_config.json", dict(bos_token_id=2, eos_token_id=1, pad_token_id=0))
    named, meta = tensors(model, layout, dtype), {"format": "pt"}
    if shard_bytes is None:
        save_file(named, f"{folder}/model.safetensors", metadata=meta)
        return
    shards, filled = [{}], 0
    for name, values in named.items():
        size = values.numel() * values.element_size()
        if shards[-1] and filled + size > shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = values
        filled += size
    where = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, f"{folder}/{file}", metadata=meta)
        where.update({name: file for name in shard})
    total = sum(v.numel() * v.element_size() for v in named.values())
    write_json(f"{folder}/model.safetensors.index.json",
               dict(metadata=dict(total_size=total), weight_map=dict(sorted(where.items()))))


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1, allow_nan=False)
        f.write("\n")
