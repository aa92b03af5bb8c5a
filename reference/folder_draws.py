"""Model folders drawn by chance, for check_folders.py: each is written in one of the ways that writers have."""
import json
import os
import shutil

import numpy as np
import torch
from safetensors.torch import save_file

from fixture_model import LAYOUTS, sentences
from shapes.tokenizer import padded_vocabulary, save_processor, train_tokenizer

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
# What the configuration classes of transformers 5.24 give to a field that is absent.
DEFAULTS = {
    "gemma": dict(num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=16, head_dim=256, rms_norm_eps=1e-6),
    "gemma2": dict(num_attention_heads=8, num_key_value_heads=4, head_dim=256, rms_norm_eps=1e-6,
                   query_pre_attn_scalar=256, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
                   sliding_window=4096),
    "vision": dict(intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=16, image_size=224,
                   layer_norm_eps=1e-6),
}


class Draw:
    """One folder's draws: what was drawn, and the names that a refusal may have."""

    def __init__(self, rng):
        self.rng, self.notes, self.names = rng, [], []

    def chance(self, p):
        return self.rng.random() < p

    def note(self, text, *names):
        self.notes.append(text)
        self.names += names


class Maker:
    def __init__(self, work, families):
        self.families = families
        self.tokenizers = []
        for seed in (1, 2):
            folder = f"{work}/{seed}"
            os.makedirs(folder)
            with open(f"{folder}/tokenizer.model", "wb") as f:
                f.write(train_tokenizer(sentences(seed, 3000), 560 + 64 * seed, ["<unused0>", *["\u2581" * i for i in (2, 3, 4)]], newlines=4))
            processor = save_processor(folder, 56, 14)
            self.tokenizers.append((folder, len(processor.tokenizer) - 1))

    def draw(self, rng, folder):
        draw = Draw(rng)
        os.makedirs(folder)
        template, pieces = rng.choice(self.tokenizers)
        pieces = self.tokenizer(draw, template, folder, pieces)
        config = self.config(draw, pieces)
        state = self.weights(draw, config)
        self.odd_fields(draw, config)
        with open(f"{folder}/config.json", "w") as f:
            json.dump(config, f, indent=1)
        self.processor(draw, folder, config["vision_config"])
        self.generation(draw, folder, config)
        self.write(draw, folder, state, config)
        return draw

    # ---- tokenizer

    def tokenizer(self, draw, template, folder, pieces):
        form = draw.rng.choices(["both", "model", "json", "json of its own", "json with more"], [4, 4, 4, 1, 2])[0]
        if form in ("both", "model"):
            shutil.copy(f"{template}/tokenizer.model", folder)
        if form != "model":
            shutil.copy(f"{template}/tokenizer.json", folder)
        if draw.chance(0.98):
            shutil.copy(f"{template}/tokenizer_config.json", folder)
        draw.note(f"tokenizer: {form}")
        if form == "json with more":
            # A fine-tune added tokens; its tokenizer.model is still the base's.
            with open(f"{folder}/tokenizer.json") as f:
                spec = json.load(f)
            for content in ("<mine>", "cat ;"):
                spec["added_tokens"].append(dict(id=pieces + 1, content=content, single_word=False, lstrip=False, rstrip=False,
                                                 normalized=draw.chance(0.5), special=False))
                pieces += 1
            with open(f"{folder}/tokenizer.json", "w") as f:
                json.dump(spec, f)
            if draw.chance(0.5):
                shutil.copy(f"{template}/tokenizer.model", folder)
        if form == "json of its own":
            with open(f"{folder}/tokenizer.json") as f:
                spec = json.load(f)
            kind = draw.rng.choice(["normalizer", "byte_fallback", "ignore_merges", "pre_tokenizer", "merges as text", "special"])
            if kind == "normalizer":
                spec["normalizer"] = dict(type="NFC")
            elif kind == "pre_tokenizer":
                spec["pre_tokenizer"] = None
            elif kind == "merges as text":
                spec["model"]["merges"] = [" ".join(m) for m in spec["model"]["merges"]]
            elif kind == "special":
                for token in spec["added_tokens"]:
                    if token["content"] == "<mask>":
                        token["special"] = False
            else:
                spec["model"][kind] = not spec["model"][kind]
            draw.note(f"tokenizer.json: {kind}", kind)
            with open(f"{folder}/tokenizer.json", "w") as f:
                json.dump(spec, f, ensure_ascii=draw.chance(0.5))
        return pieces

    # ---- sizes

    def config(self, draw, pieces):
        rng = draw.rng
        family = rng.choice(self.families)
        heads = rng.choice([1, 2, 4])
        text = dict(model_type=family, hidden_size=rng.choice([32, 40, 48]) * (heads if family == "gemma2" else 1),
                    intermediate_size=rng.choice([64, 72]), num_hidden_layers=rng.choice([1, 2, 3]), num_attention_heads=heads,
                    num_key_value_heads=rng.choice([k for k in (1, 2, 4) if heads % k == 0]), head_dim=rng.choice([8, 16, 32]),
                    vocab_size=padded_vocabulary(pieces + 3))
        vision = dict(model_type="siglip_vision_model", hidden_size=rng.choice([24, 48]), intermediate_size=rng.choice([40, 64]),
                      num_hidden_layers=rng.choice([1, 2]), num_attention_heads=rng.choice([1, 2, 4]), patch_size=14,
                      image_size=rng.choice([28, 42, 56]))
        if family == "gemma2":
            text.update(query_pre_attn_scalar=rng.choice([8, 16, 24]), attn_logit_softcapping=rng.choice([50.0, 5.0, None]),
                        final_logit_softcapping=rng.choice([30.0, 10.0, None]), sliding_window=rng.choice([4096, 8, 5]),
                        hidden_activation="gelu_pytorch_tanh")
        else:
            text.update(hidden_act="gelu_pytorch_tanh")
        draw.note(family)
        # Fields that are left out have their class's value, which the weights then must have too.
        for part, defaults in ((text, DEFAULTS[family]), (vision, DEFAULTS["vision"])):
            for field, value in defaults.items():
                if draw.chance(0.06):
                    part[field] = value
                    draw.note(f"{field} absent")
                    part.setdefault("absent", []).append(field)
        if text["num_attention_heads"] % text["num_key_value_heads"]:
            text["num_key_value_heads"] = 1
            text["absent"] = [f for f in text.get("absent", []) if f != "num_key_value_heads"]
        if family == "gemma2":
            text["hidden_size"] = -(-text["hidden_size"] // text["num_attention_heads"]) * text["num_attention_heads"]
            if draw.chance(0.4):
                text["layer_types"] = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(text["num_hidden_layers"])]
        if vision["hidden_size"] % vision["num_attention_heads"]:
            vision["hidden_size"] = 48
        if vision["image_size"] < vision["patch_size"]:
            vision["image_size"] = vision["patch_size"] * 2
        top = dict(model_type="paligemma", architectures=["PaliGemmaForConditionalGeneration"], image_token_index=self.image_token(pieces),
                   bos_token_id=2, eos_token_id=1, pad_token_id=0, projection_dim=text["hidden_size"], hidden_size=text["hidden_size"],
                   vocab_size=text["vocab_size"], text_config=text, vision_config=vision)
        return top

    def image_token(self, pieces):
        return min((count for _, count in self.tokenizers if count <= pieces), key=lambda c: pieces - c)

    # ---- weights

    def weights(self, draw, config):
        """Tensors by the names of transformers 5 in memory, every one of them felt in the logits."""
        t, v, rng = config["text_config"], config["vision_config"], np.random.default_rng(draw.rng.getrandbits(32))
        out = {}

        def add(name, *shape, gain=1.0, mean=0.0):
            out[name] = torch.from_numpy((mean + gain * rng.standard_normal(shape)).astype(np.float32))

        def matrix(name, rows, columns, gain=1.0, bias=False):
            add(f"{name}.weight", rows, columns, gain=gain / columns ** 0.5)
            if bias:
                add(f"{name}.bias", rows, gain=0.1)

        def norm(name):
            add(f"{name}.weight", v["hidden_size"], gain=0.3, mean=1)
            add(f"{name}.bias", v["hidden_size"], gain=0.2)

        width, head, patch = t["hidden_size"], t["head_dim"], v["patch_size"]
        # In a deep model large steps would blow up the last bits that f32 has.
        step = 4 if t["num_hidden_layers"] < 12 else 0.3
        tower = "model.vision_tower."
        add(f"{tower}embeddings.patch_embedding.weight", v["hidden_size"], 3, patch, patch, gain=2 / (3 * patch * patch) ** 0.5)
        add(f"{tower}embeddings.patch_embedding.bias", v["hidden_size"], gain=0.1)
        add(f"{tower}embeddings.position_embedding.weight", (v["image_size"] // patch) ** 2, v["hidden_size"], gain=0.5)
        for layer in range(v["num_hidden_layers"]):
            name = f"{tower}encoder.layers.{layer}."
            norm(f"{name}layer_norm1"), norm(f"{name}layer_norm2")
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                matrix(f"{name}self_attn.{part}", v["hidden_size"], v["hidden_size"], 1.5, bias=True)
            matrix(f"{name}mlp.fc1", v["intermediate_size"], v["hidden_size"], bias=True)
            matrix(f"{name}mlp.fc2", v["hidden_size"], v["intermediate_size"], 2, bias=True)
        norm(f"{tower}post_layernorm")
        matrix("model.multi_modal_projector.linear", width, v["hidden_size"], 2, bias=True)
        norms = ["input_layernorm", "post_attention_layernorm"]
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if t["model_type"] == "gemma2" else []
        for layer in range(t["num_hidden_layers"]):
            name = f"model.language_model.layers.{layer}."
            for part in norms:
                add(f"{name}{part}.weight", width, gain=0.3)
            matrix(f"{name}self_attn.q_proj", t["num_attention_heads"] * head, width, 1.7)
            matrix(f"{name}self_attn.k_proj", t["num_key_value_heads"] * head, width, 1.7)
            matrix(f"{name}self_attn.v_proj", t["num_key_value_heads"] * head, width)
            matrix(f"{name}self_attn.o_proj", width, t["num_attention_heads"] * head, step)
            matrix(f"{name}mlp.gate_proj", t["intermediate_size"], width)
            matrix(f"{name}mlp.up_proj", t["intermediate_size"], width)
            matrix(f"{name}mlp.down_proj", width, t["intermediate_size"], step)
        add("model.language_model.norm.weight", width, gain=0.5, mean=2)
        matrix("model.language_model.embed_tokens", t["vocab_size"], width)
        out["model.language_model.embed_tokens.weight"][1] *= 2
        out["model.language_model.embed_tokens.weight"][config["image_token_index"]] *= 0.05
        return out

    # ---- odd fields

    def odd_fields(self, draw, config):
        rng, text, vision = draw.rng, config["text_config"], config["vision_config"]
        for part in (text, vision):
            for field in part.pop("absent", []):
                part.pop(field, None)
        linear = dict(rope_type="linear", factor=2.0)
        odd = [
            (config, "text_config", "model_type", [None]), (config, "vision_config", "model_type", [None]),
            (config, "text_config", "hidden_act", ["gelu", "gelu_pytorch_tanh", "relu", "silu", None]),
            (config, "text_config", "hidden_activation", ["gelu", "gelu_pytorch_tanh", "relu", None, "null"]),
            (config, "vision_config", "hidden_act", ["gelu", "gelu_pytorch_tanh", "quick_gelu", "gelu_new", None]),
            (config, "text_config", "rope_theta", [500.0, 10000, 1e6]),
            (config, "text_config", "rope_parameters", [dict(rope_theta=300.0), dict(rope_type="default", rope_theta=3e4), linear, {}, "null",
                                                        dict(rope_theta=700.0, rope_type="default", partial_rotary_factor=0.5)]),
            (config, "text_config", "rope_scaling", ["null", {}, dict(type="linear", factor=4.0), linear, dict(type="dynamic", factor=2.0)]),
            (config, "text_config", "partial_rotary_factor", [0.5, 1.0]),
            (config, "text_config", "attention_bias", [True, False]),
            (config, "text_config", "use_bidirectional_attention", [True, False, "null"]),
            (config, "text_config", "sliding_window", [8, 4096, "null"]),
            (config, "text_config", "layer_types", [["full_attention"] * text["num_hidden_layers"] if "num_hidden_layers" in text else None]),
            (config, "text_config", "final_logit_softcapping", [7.0, "null"]),
            (config, "text_config", "attn_logit_softcapping", [3.0, "null"]),
            (config, "text_config", "query_pre_attn_scalar", [12, 100]),
            (config, "text_config", "rms_norm_eps", [1e-5, 1e-3]), (config, "vision_config", "layer_norm_eps", [1e-5, 1e-3]),
            (config, "text_config", "attention_dropout", [0.1]), (config, "text_config", "num_image_tokens", [3]),
            (config, "text_config", "eos_token_id", [1, [1, 300], 301]), (config, "text_config", "bos_token_id", [5]),
            (config, "text_config", "tie_word_embeddings", [True, False]), (config, None, "tie_word_embeddings", [True, False]),
            (config, None, "eos_token_id", [None, [1, 300], 302, [303]]), (config, None, "bos_token_id", [None, 7]),
            (config, None, "image_token_id", [config["image_token_index"]]), (config, None, "vocab_size", [5, None]),
            (config, None, "hidden_size", [5, None]), (config, None, "torch_dtype", ["bfloat16", "float16", "float32"]),
            (config, None, "architectures", [None]), (config, None, "unknown_field", [1]), (config, None, "ignore_index", [-100]),
            (config, "vision_config", "num_channels", [3]), (config, "vision_config", "vision_use_head", [True, False]),
            (config, "vision_config", "num_image_tokens", [9]), (config, "vision_config", "projector_hidden_act", ["gelu_fast"]),
            (config, "text_config", "per_layer_config", [{"0": {"intermediate_size": 8}}, "null"]),
            (config, None, "quantization_config", [dict(quant_method="bitsandbytes", load_in_4bit=True)]),
            (config, "text_config", "cache_implementation", ["hybrid"]),
        ]
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            root, part, field, values = rng.choice(odd)
            target, value = root[part] if part else root, rng.choice(values)
            draw.note(f"{part or 'config'}.{field} = {value}", field)
            if value is None:
                target.pop(field, None)
            else:
                target[field] = None if value == "null" else value

    # ---- other files

    def processor(self, draw, folder, vision):
        size = vision.get("image_size", 224)
        settings = dict(do_convert_rgb=None, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3,
                        image_std=[0.5] * 3, image_processor_type="SiglipImageProcessor", resample=3, rescale_factor=1 / 255,
                        image_seq_length=(size // vision.get("patch_size", 16)) ** 2, size=dict(height=size, width=size))
        other = dict(settings, resample=2)
        if draw.chance(0.12):
            field, value = draw.rng.choice([("resample", 2), ("image_mean", [0.4, 0.5, 0.6]), ("image_std", [0.2] * 3), ("do_resize", False),
                                            ("do_normalize", False), ("do_rescale", False), ("rescale_factor", 1 / 127.5), ("size", size),
                                            ("size", dict(height=size * 2, width=size)), ("image_processor_type", "CLIPImageProcessor"),
                                            ("do_convert_rgb", True), ("image_mean", None), ("resample", None)])
            settings[field] = value
            draw.note(f"image processor: {field} = {value}", field)
        form = draw.rng.choice(["preprocessor", "processor", "both"])
        draw.note(f"image processor in {form}")
        if form != "processor":
            with open(f"{folder}/preprocessor_config.json", "w") as f:
                json.dump(settings if form == "preprocessor" else other, f)
        if form != "preprocessor":
            with open(f"{folder}/processor_config.json", "w") as f:
                json.dump(dict(image_processor=settings, processor_class="PaliGemmaProcessor"), f)

    def generation(self, draw, folder, config):
        if draw.chance(0.4):
            return
        settings = dict(bos_token_id=2, eos_token_id=1, pad_token_id=0, transformers_version="5.24.0")
        if draw.chance(0.3):
            field, value = draw.rng.choice([("eos_token_id", [1, 300, 301]), ("eos_token_id", [304, 1]), ("do_sample", True), ("temperature", 0.3),
                                            ("repetition_penalty", 3.0), ("suppress_tokens", [1, 20, 21]), ("no_repeat_ngram_size", 1),
                                            ("min_new_tokens", 3), ("num_beams", 3), ("max_length", 4096), ("forced_eos_token_id", 1),
                                            ("top_k", 5), ("repetition_penalty", 1.0), ("bad_words_ids", [[30], [31]])])
            settings[field] = value
            draw.note(f"generation_config: {field} = {value}", field)
        else:
            draw.note("generation_config")
        with open(f"{folder}/generation_config.json", "w") as f:
            json.dump(settings, f)

    # ---- tensors

    def write(self, draw, folder, state, config):
        rng = draw.rng
        layout = rng.choice(list(LAYOUTS))
        kind = rng.choice(["f32", "f32", "bf16", "f16", "mixed"])
        draw.note(f"names {layout}")
        draw.note(kind)
        embedding, head = "model.language_model.embed_tokens.weight", "lm_head.weight"
        form = rng.choices(["no head", "equal head", "other head", "only head"], [8, 2, 2, 1])[0]
        draw.note(form, "lm_head", "embed_tokens", "tie_word_embeddings")
        if form == "equal head":
            state[head] = state[embedding].clone()
        elif form == "other head":
            state[head] = state[embedding].roll(7, 0) + 0.01
        elif form == "only head":
            state[head] = state.pop(embedding)
        named, text, vision, projector = {}, *LAYOUTS[layout]
        dtype = None
        for name, values in state.items():
            for current, new in (("model.language_model.", text), ("model.vision_tower.", vision), ("model.multi_modal_projector.", projector)):
                if name.startswith(current):
                    name = new + name.removeprefix(current)
                    break
            if name == head and layout == "published" and draw.chance(0.5):
                name = "language_model.lm_head.weight"
            dtype = TYPES[rng.choice(list(TYPES)) if kind == "mixed" else kind]
            if kind == "mixed" and form == "equal head":
                dtype = torch.float32
            named[name] = values.to(dtype).contiguous()
        if draw.chance(0.04):
            which = rng.choice(["module.", "_orig_mod.", "base_model.model.", "wrapped."])
            named = {which + k: v for k, v in named.items()}
            draw.note(f"prefix {which}", re_escape(which))
        if draw.chance(0.05):
            named["model.vision_tower.embeddings.position_ids" if layout.endswith("5") else vision + "embeddings.position_ids"] = torch.arange(4)
            draw.note("position_ids")
        if draw.chance(0.05):
            named[vision + "head.layernorm.weight"] = torch.ones(config["vision_config"].get("hidden_size", 768))
            draw.note("pooling head")
        if draw.chance(0.03):
            gone = rng.choice(list(named))
            named.pop(gone)
            draw.note(f"without {gone}", re_escape(gone.split(".")[-2]))
        meta = {"format": "mlx"} if draw.chance(0.02) else {"format": "pt"} if draw.chance(0.9) else None
        if meta == {"format": "mlx"}:
            draw.note("format mlx", "MLX")
        files = rng.choice(["single", "single", "shards", "both"])
        draw.note(files)
        if files != "shards":
            save_file(named, f"{folder}/model.safetensors", metadata=meta)
        if files != "single":
            # Beside a single file, an older state of the model.
            count = rng.choice([1, 2, 4])
            shards = [{} for _ in range(count)]
            for i, (name, values) in enumerate(named.items()):
                shards[i % count][name] = values if files == "shards" or values.dtype == torch.int64 else values * 1.5
            where = {}
            for i, shard in enumerate(shards, 1):
                file = f"model-{i:05d}-of-{count:05d}.safetensors"
                save_file(shard, f"{folder}/{file}", metadata=meta)
                where.update(dict.fromkeys(shard, file))
            with open(f"{folder}/model.safetensors.index.json", "w") as f:
                json.dump(dict(metadata={}, weight_map=where), f)


def re_escape(text):
    return text.replace(".", r"\.")
