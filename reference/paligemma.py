"""PaliGemma and PaliGemma 2 in plain numpy (f32): both towers, prefill, greedy decoding, beam search and scoring. Written to be read.

    from checkpoint import load_weights
    model = PaliGemma(config, load_weights(folder))
    features = model.image_features(pixel_values)          # (3, S, S) -> (N, width)
    ids = model.prompt_ids(tokenizer, "caption en")        # <image> x N, BOS, prompt, line feed
    tokens, logprobs = model.greedy(ids, features, limit=20)
"""
import math

import numpy as np

F32 = np.float32
EOS, BOS = 1, 2


def gelu_tanh(x):
    return F32(0.5) * x * (1 + np.tanh(F32(math.sqrt(2 / math.pi)) * (x + F32(0.044715) * x * x * x)))


def layer_norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True, dtype=F32)
    return x / np.sqrt((x * x).mean(-1, keepdims=True, dtype=F32) + F32(eps)) * weight + bias


def rms_norm(x, weight, eps):
    """Gemma's RMSNorm: the stored weight is an offset from one."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True, dtype=F32) + F32(eps)) * (1 + weight)


def soft_cap(x, cap):
    return np.tanh(x / F32(cap)) * F32(cap)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class PaliGemma:
    def __init__(self, config, weights):
        text, vision = config["text_config"], config["vision_config"]
        self.weights, self.image_token = weights, config["image_token_index"]
        self.width, self.layers = text["hidden_size"], text["num_hidden_layers"]
        self.heads, self.kv_heads = text["num_attention_heads"], text["num_key_value_heads"]
        self.head_dim, self.eps = text.get("head_dim", 256), text.get("rms_norm_eps", 1e-6)
        theta = text.get("rope_theta") or text.get("rope_parameters", {}).get("rope_theta", 10000.0)
        self.frequencies = (1.0 / theta ** (np.arange(0, self.head_dim, 2, dtype=F32) / F32(self.head_dim))).astype(F32)
        # Gemma 2: norms behind attention and MLP, bounds of scores and logits, a window in every second layer.
        self.second = text["model_type"] == "gemma2"
        scalar = text["query_pre_attn_scalar"] if self.second else self.head_dim
        self.scale = scalar ** -0.5
        self.attention_cap = text["attn_logit_softcapping"] if self.second else None
        self.logit_cap = text["final_logit_softcapping"] if self.second else None
        self.window = text["sliding_window"] if self.second else None
        self.sliding = [kind == "sliding_attention" for kind in text["layer_types"]] if self.second else []
        self.vision_width, self.vision_layers = vision["hidden_size"], vision["num_hidden_layers"]
        self.vision_heads, self.vision_eps = vision["num_attention_heads"], vision.get("layer_norm_eps", 1e-6)
        self.patch, self.image = vision["patch_size"], vision["image_size"]
        self.image_tokens = (self.image // self.patch) ** 2

    def linear(self, x, name):
        y, bias = x @ self.weights[name + ".weight"].T, self.weights.get(name + ".bias")
        return y if bias is None else y + bias

    # -------------------------------------------------------------------------------------- vision
    def image_features(self, pixels, trace=None):
        """SigLIP and the projector: pixel values (3, S, S) -> (N, width). `trace` collects every layer's output."""
        trace, n, w = {} if trace is None else trace, self.image // self.patch, self.weights
        x = pixels.reshape(3, n, self.patch, n, self.patch).transpose(1, 3, 0, 2, 4).reshape(n * n, -1)
        kernel = w["vision_tower.embeddings.patch_embedding.weight"].reshape(self.vision_width, -1)
        x = x @ kernel.T + w["vision_tower.embeddings.patch_embedding.bias"]
        x = trace["vision/0"] = x + w["vision_tower.embeddings.position_embedding.weight"]
        head = self.vision_width // self.vision_heads
        for i in range(self.vision_layers):
            p = f"vision_tower.encoder.layers.{i}."
            h = layer_norm(x, w[p + "layer_norm1.weight"], w[p + "layer_norm1.bias"], self.vision_eps)
            q, k, v = (self.linear(h, f"{p}self_attn.{c}_proj").reshape(-1, self.vision_heads, head).transpose(1, 0, 2)
                       for c in "qkv")
            mixed = softmax(q @ k.transpose(0, 2, 1) * F32(head ** -0.5)) @ v  # every patch attends to all
            x = x + self.linear(mixed.transpose(1, 0, 2).reshape(-1, self.vision_width), p + "self_attn.out_proj")
            h = layer_norm(x, w[p + "layer_norm2.weight"], w[p + "layer_norm2.bias"], self.vision_eps)
            x = x + self.linear(gelu_tanh(self.linear(h, p + "mlp.fc1")), p + "mlp.fc2")
            trace[f"vision/{i + 1}"] = x
        x = layer_norm(x, w["vision_tower.post_layernorm.weight"], w["vision_tower.post_layernorm.bias"], self.vision_eps)
        trace["vision/post_layernorm"] = x
        return self.linear(x, "multi_modal_projector.linear")

    # -------------------------------------------------------------------------------------- text
    def prompt_ids(self, tokenizer, prompt, images=1):
        return [self.image_token] * (self.image_tokens * images) + [BOS] + tokenizer.encode(prompt + "\n")

    def rotate(self, x, positions):
        """Rotary embedding of x (T, heads, head_dim), half-split."""
        angle = (positions.astype(F32)[:, None] * self.frequencies[None])[:, None]
        a, b = np.split(x, 2, -1)
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)

    def windowed(self, allowed, prefix):
        """The mask of a sliding layer: what follows the prefix sees its last `window` tokens. The rows of `allowed` are
        the last ones of the sequence, and `prefix` tokens come first in it."""
        count, total = allowed.shape
        i, j = np.arange(total - count, total)[:, None], np.arange(total)[None]
        return allowed & ((i < prefix) | (j > i - self.window))

    def decoder(self, x, positions, allowed, prefix, cache, trace=None):
        """Runs the decoder over new rows x (T, width) with the mask allowed (T, past + T). `prefix` tokens see each
        other. Appends keys and values to `cache`."""
        trace, w, count = {} if trace is None else trace, self.weights, len(x)
        trace["text/0"] = x
        for i in range(self.layers):
            p = f"language_model.layers.{i}."
            h = rms_norm(x, w[p + "input_layernorm.weight"], self.eps)
            q = self.rotate(self.linear(h, p + "self_attn.q_proj").reshape(count, self.heads, -1), positions)
            k = self.rotate(self.linear(h, p + "self_attn.k_proj").reshape(count, self.kv_heads, -1), positions)
            v = self.linear(h, p + "self_attn.v_proj").reshape(count, self.kv_heads, -1)
            if cache[i] is not None:
                k, v = np.concatenate([cache[i][0], k]), np.concatenate([cache[i][1], v])
            cache[i] = (k, v)
            k, v = (np.repeat(a, self.heads // self.kv_heads, 1) for a in (k, v))  # query head j: key head j // group
            scores = np.einsum("thd,shd->hts", q, k, optimize=True) * F32(self.scale)
            if self.attention_cap:
                scores = soft_cap(scores, self.attention_cap)
            mask = self.windowed(allowed, prefix) if self.window and self.sliding[i] else allowed
            scores = np.where(mask[None], scores, F32(-np.inf))
            mixed = np.einsum("hts,shd->thd", softmax(scores), v, optimize=True).reshape(count, -1)
            mixed = self.linear(mixed, p + "self_attn.o_proj")
            if self.second:
                mixed = rms_norm(mixed, w[p + "post_attention_layernorm.weight"], self.eps)
            x = x + mixed
            before = "pre_feedforward_layernorm" if self.second else "post_attention_layernorm"
            h = rms_norm(x, w[f"{p}{before}.weight"], self.eps)
            gate = gelu_tanh(self.linear(h, p + "mlp.gate_proj"))
            h = self.linear(gate * self.linear(h, p + "mlp.up_proj"), p + "mlp.down_proj")
            if self.second:
                h = rms_norm(h, w[p + "post_feedforward_layernorm.weight"], self.eps)
            x = x + h
            trace[f"text/{i + 1}"] = x
        x = trace[f"text/{self.layers}"] = rms_norm(x, w["language_model.norm.weight"], self.eps)
        return x

    def embed(self, ids, features=None):
        x = self.weights["language_model.embed_tokens.weight"][ids] * F32(math.sqrt(self.width))
        if features is not None:
            x[np.asarray(ids) == self.image_token] = features  # image rows are not scaled
        return x

    def logits(self, hidden):
        logits = hidden @ self.weights["language_model.embed_tokens.weight"].T
        return soft_cap(logits, self.logit_cap) if self.logit_cap else logits

    def prefill(self, ids, features, prefix=None, trace=None):
        """(logits of every position, cache). Attention is full within the first `prefix` ids (default: all) and
        causal after them. The prefix does not see what follows."""
        count = len(ids)
        prefix = count if prefix is None else prefix
        i, j = np.arange(count)[:, None], np.arange(count)[None]
        allowed = (j <= i) | ((i < prefix) & (j < prefix))
        cache = [None] * self.layers
        hidden = self.decoder(self.embed(ids, features), np.arange(count), allowed, prefix, cache, trace)
        return self.logits(hidden), cache

    def greedy(self, ids, features, limit):
        """Tokens up to and including EOS, and their log-probabilities."""
        logits, cache = self.prefill(ids, features)
        row, tokens, logprobs = logits[-1], [], []
        for n in range(limit):
            token = int(row.argmax())
            tokens.append(token), logprobs.append(float(log_softmax(row)[token]))
            if token == EOS or n == limit - 1:
                break
            at = len(ids) + n
            hidden = self.decoder(self.embed([token]), np.array([at]), np.ones((1, at + 1), bool), len(ids), cache)
            row = self.logits(hidden)[0]
        return tokens, logprobs

    def search(self, ids, features, limit, width):
        """big_vision's beam search: (tokens, which always end with EOS, sum of their log-probabilities, whether the limit
        cut the search while a beam was as likely)."""
        logits, cache = self.prefill(ids, features)
        beams, best = [(0.0, [], cache, logits[-1])], (-np.inf, None)
        for n in range(limit):
            onward = []
            for total, tokens, cache, row in beams:
                logp = log_softmax(row)
                if total + logp[EOS] > best[0]:  # every beam may end here; what ended earlier wins against its equals
                    best = (total + float(logp[EOS]), tokens + [EOS])
                order = [int(t) for t in np.argsort(-logp, kind="stable")[:width + 1] if t != EOS]
                onward += [(total + float(logp[t]), tokens + [t], cache) for t in order]
            onward = sorted(onward, key=lambda beam: -beam[0])[:width]
            if onward[0][0] < best[0]:  # sums only fall
                return best[1], best[0], False
            if n == limit - 1:
                return best[1], best[0], True
            beams = []
            for total, tokens, cache in onward:
                cache, at = list(cache), len(ids) + n
                hidden = self.decoder(self.embed(tokens[-1:]), np.array([at]), np.ones((1, at + 1), bool), len(ids), cache)
                beams.append((total, tokens, cache, self.logits(hidden)[0]))

    def score(self, ids, features, suffix):
        """The log-probability of each token of `suffix` after the prompt `ids`, in one pass."""
        logits, _ = self.prefill(list(ids) + list(suffix), features, prefix=len(ids))
        return [float(log_softmax(logits[len(ids) - 1 + i])[t]) for i, t in enumerate(suffix)]
