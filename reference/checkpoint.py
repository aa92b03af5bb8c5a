"""Read Hugging Face checkpoints without transformers: safetensors, and the tensor names of every layout in use."""
import json
import os
import struct

import numpy as np

KINDS = {"F32": "<f4", "F16": "<f2", "U8": "u1", "I32": "<i4", "I64": "<i8", "BOOL": "?"}


def read_safetensors(path) -> dict:
    """The tensors of a file by name. The file has the header's length (u64, little-endian), the header in JSON, and
    raw values. bf16 is widened to f32."""
    with open(path, "rb") as f:
        raw = f.read()
    size = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name == "__metadata__":
            continue
        a, b = entry["data_offsets"]
        data = raw[8 + size + a:8 + size + b]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(data, KINDS[entry["dtype"]])
        out[name] = values.reshape(entry["shape"])
    return out


def canonical(name):
    """The name of a tensor independent of the layout, or None for a tensor that the model does not need."""
    name = name.removeprefix("model.")
    if name.endswith(("lm_head.weight", "position_ids", "inv_freq")) or name.startswith("vision_tower.head."):
        return None
    name = name.replace("language_model.model.", "language_model.", 1)
    return name.replace("vision_tower.vision_model.", "vision_tower.", 1)


def load_weights(folder) -> dict:
    """All tensors of a checkpoint in f32, by canonical name."""
    index = os.path.join(folder, "model.safetensors.index.json")
    files = ["model.safetensors"]
    if os.path.exists(index):
        with open(index) as f:
            files = sorted(set(json.load(f)["weight_map"].values()))
    out = {}
    for file in files:
        for name, values in read_safetensors(os.path.join(folder, file)).items():
            if known := canonical(name):
                out[known] = np.ascontiguousarray(values, np.float32)
    return out
