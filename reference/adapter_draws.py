"""LoRA adapters drawn by chance for check_folders.py: each as PEFT writes one, with fields present, absent or odd."""
import json
import os
import shutil
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

TEXT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PATTERNS = [
    r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    r".*vision_tower.*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)",
    r".*language_model.*\.(q_proj|v_proj)|.*projector\.linear",
    r".*\.(up_proj|fc2)",
]
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class NotRead(Exception):
    """PEFT does not read what was drawn, or would draw missing matrices by chance: why."""


def draw(draw, model, folder):
    """Writes an adapter of `model`, a model of transformers, into `folder`. `model` is not to be used any more.

    Raises NotRead where PEFT makes no such adapter.
    """
    rng = draw.rng
    rank = rng.choice([1, 2, 3, 4, 7, 8])
    targets = rng.choice([rng.sample(TEXT, rng.randint(1, 4)), rng.choice(PATTERNS), "all-linear", ["fc1", "q_proj"]])
    fields = dict(r=rank, lora_alpha=rng.choice([rank, 2 * rank, 16, 1]), lora_dropout=rng.choice([0.0, 0.1]), target_modules=targets)
    odd = [
        ("use_rslora", True), ("rank_pattern", {"layers.0.self_attn.q_proj": rank + 2}),
        ("alpha_pattern", {"q_proj": 5}), ("rank_pattern", {r".*self_attn.*": 3}), ("exclude_modules", ["up_proj"]),
        ("exclude_modules", r".*layers\.0\..*"), ("layers_to_transform", [0]), ("layers_to_transform", 0),
        ("modules_to_save", ["multi_modal_projector"]), ("modules_to_save", ["lm_head"]), ("modules_to_save", ["embed_tokens"]),
        ("use_dora", True), ("bias", "lora_only"), ("bias", "all"), ("init_lora_weights", "gaussian"), ("init_lora_weights", False),
        ("init_lora_weights", "pissa"), ("init_lora_weights", "olora"), ("lora_bias", True), ("task_type", "CAUSAL_LM"),
    ]
    for _ in range(rng.choice([0, 1, 1, 2])):
        field, value = rng.choice(odd)
        fields[field] = value
    for field, value in sorted(fields.items()):
        draw.note(f"adapter: {field} = {value}", "rank" if field == "r" else field)
    if isinstance(fields.get("init_lora_weights"), str):
        draw.names.append("init_lora_weights")
    seed = rng.getrandbits(32)
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = get_peft_model(model, LoraConfig(**fields))
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for name, p in sorted(adapted.named_parameters()):
                    if "lora_" in name:
                        p.copy_(torch.randn(p.shape, generator=generator) * (0.5 / p.shape[-1] ** 0.5))
                    elif "modules_to_save" in name:
                        p.add_(torch.randn(p.shape, generator=generator) * 0.1)
            shutil.rmtree(folder, ignore_errors=True)
            adapted.save_pretrained(folder)
    except Exception as error:  # whatever PEFT throws, it made none
        raise NotRead(f"no adapter: {type(error).__name__}: {str(error)[:90]}") from None
    rewrite(draw, folder)


def rewrite(draw, folder):
    """Types of tensors, and fields as other writers have them."""
    rng = draw.rng
    kind = rng.choice(["f32", "f32", "bf16", "f16"])
    tensors = {name: values.to(TYPES[kind]).contiguous() for name, values in load_file(f"{folder}/adapter_model.safetensors").items()}
    draw.note(f"adapter in {kind}")
    if draw.chance(0.05):
        gone = rng.choice(sorted(tensors))
        tensors.pop(gone)
        draw.note(f"adapter without {gone}", gone.split(".")[-3])
    if draw.chance(0.05):
        wrong = rng.choice(sorted(tensors))
        tensors[wrong] = tensors[wrong][:-1].contiguous() if tensors[wrong].shape[0] > 1 else torch.ones(3, 3)
        draw.note(f"adapter with another size of {wrong}", wrong.split(".")[-3], "rank")
    save_file(tensors, f"{folder}/adapter_model.safetensors", metadata={"format": "pt"})
    path = f"{folder}/adapter_config.json"
    with open(path) as f:
        config = json.load(f)
    for field in sorted(config):
        # What older versions of PEFT did not write.
        if field not in ("r", "lora_alpha", "target_modules", "peft_type") and not config[field] and draw.chance(0.3):
            del config[field]
    if draw.chance(0.1):
        field, value = rng.choice([("r", 5), ("lora_alpha", 3), ("lora_alpha", 2.5), ("peft_type", "LOHA"), ("fan_in_fan_out", True),
                                   ("use_rslora", True), ("base_model_name_or_path", None), ("unknown_field", 1),
                                   ("target_modules", ["q_proj"]), ("inference_mode", False), ("megatron_config", {"a": 1})])
        config[field] = value
        draw.note(f"adapter_config: {field} = {value}", "rank" if field == "r" else field)
    with open(path, "w") as f:
        json.dump(config, f)
    if os.path.exists(f"{folder}/README.md"):
        os.remove(f"{folder}/README.md")


def load(model, folder):
    """`model` with the adapter, unmerged."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(model, folder)
    except Exception as error:  # whatever PEFT throws, it did not load
        raise NotRead(f"PEFT: {type(error).__name__}: {str(error)[:90]}") from None
    for warning in said:
        if "missing adapter keys" in str(warning.message):
            raise NotRead("PEFT draws missing matrices by chance")
    return adapted.eval()
