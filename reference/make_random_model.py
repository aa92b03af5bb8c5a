"""Write a PaliGemma folder of real size with random bf16 weights, for measurements. Its responses mean nothing.

    python reference/make_random_model.py FOLDER [--size 224|448|896]

3B at 224 px has 603 tensors, 2,923,466,480 parameters and 5.85 GB. The tokenizer is that of the fixtures. It is too
small for real prompts, but its ids are in the vocabulary. Needs numpy.
"""
import argparse
import json
import os
import shutil
import struct

import numpy as np

WIDTH, LAYERS, MLP, VOCABULARY = 2048, 18, 16384, 257216
VISION_WIDTH, VISION_LAYERS, VISION_MLP, PATCH = 1152, 27, 4304, 14
TOKENIZER = os.path.join(os.path.dirname(__file__), "..", "Tests", "Fixtures", "tiny", "model", "tokenizer.model")


def shapes(size):
    """Published names and shapes, in the order of the file."""
    text, vision = "language_model.model.", "vision_tower.vision_model."
    yield text + "embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        layer = f"{text}layers.{i}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{name}.weight", (WIDTH,)
        for name, rows in (("q", 2048), ("k", 256), ("v", 256), ("o", 2048)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows, WIDTH)
        for name, shape in (("gate", (MLP, WIDTH)), ("up", (MLP, WIDTH)), ("down", (WIDTH, MLP))):
            yield f"{layer}mlp.{name}_proj.weight", shape
    yield text + "norm.weight", (WIDTH,)
    embeddings = vision + "embeddings."
    yield embeddings + "patch_embedding.weight", (VISION_WIDTH, 3, PATCH, PATCH)
    yield embeddings + "patch_embedding.bias", (VISION_WIDTH,)
    yield embeddings + "position_embedding.weight", ((size // PATCH) ** 2, VISION_WIDTH)
    linear = [(f"self_attn.{p}", VISION_WIDTH, VISION_WIDTH) for p in ("q_proj", "k_proj", "v_proj", "out_proj")]
    linear += [("mlp.fc1", VISION_MLP, VISION_WIDTH), ("mlp.fc2", VISION_WIDTH, VISION_MLP)]
    for i in range(VISION_LAYERS):
        layer = f"{vision}encoder.layers.{i}."
        for name in ("layer_norm1", "layer_norm2"):
            yield f"{layer}{name}.weight", (VISION_WIDTH,)
            yield f"{layer}{name}.bias", (VISION_WIDTH,)
        for name, rows, columns in linear:
            yield f"{layer}{name}.weight", (rows, columns)
            yield f"{layer}{name}.bias", (rows,)
    yield vision + "post_layernorm.weight", (VISION_WIDTH,)
    yield vision + "post_layernorm.bias", (VISION_WIDTH,)
    yield "multi_modal_projector.linear.weight", (WIDTH, VISION_WIDTH)
    yield "multi_modal_projector.linear.bias", (WIDTH,)


def write_weights(path, tensors, seed=0):
    """Writes bf16 tensors, scaled so that activations stay of order one. Each tensor takes the same block of noise
    from another offset: this is quick, and gives no zeros."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(1 << 22).astype(np.float32)
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[offset, offset + size])
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            if len(shape) == 1:
                values = noise * np.float32(0.1) + np.float32("norm" in name and "vision" in name and name.endswith("weight"))
            else:
                values = noise * np.float32(np.prod(shape[1:]) ** -0.5)
            block = np.roll((values.view(np.uint32) >> 16).astype("<u2"), int(rng.integers(1 << 22)))
            left = int(np.prod(shape))
            while left > 0:
                file.write(block[:left].tobytes())
                left -= len(block)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, choices=(224, 448, 896), default=224)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    write_weights(f"{options.folder}/model.safetensors", list(shapes(options.size)))
    with open(f"{options.folder}/config.json", "w") as file:
        json.dump(dict(model_type="paligemma", image_token_index=257152, bos_token_id=2, eos_token_id=1,
                       text_config=dict(model_type="gemma", hidden_size=WIDTH, intermediate_size=MLP, num_attention_heads=8,
                                        num_hidden_layers=LAYERS, num_key_value_heads=1, vocab_size=VOCABULARY),
                       vision_config=dict(model_type="siglip_vision_model", hidden_size=VISION_WIDTH,
                                          intermediate_size=VISION_MLP, num_attention_heads=16, patch_size=PATCH,
                                          num_hidden_layers=VISION_LAYERS, image_size=options.size)), file, indent=1)
    shutil.copy(TOKENIZER, options.folder)


if __name__ == "__main__":
    main()
