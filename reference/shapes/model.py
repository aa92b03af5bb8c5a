"""PaliGemma in torch, for training: a SigLIP vision tower and a Gemma decoder with a prefix mask.

It computes what Hugging Face's PaliGemmaForConditionalGeneration computes; evaluate.py runs the latter on the saved
folder. This version skips what training does not need, and initialises the weights so that a small model learns
quickly.
"""
import json
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Dims:
    image: int = 112
    patch: int = 14
    vision_width: int = 160
    vision_layers: int = 5
    vision_heads: int = 5
    vision_mlp: int = 640
    width: int = 128
    layers: int = 3
    heads: int = 4
    head_dim: int = 32
    mlp: int = 512

    @property
    def side(self):
        return self.image // self.patch


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + self.weight)


def linear(inputs, outputs, bias=False, gain=1.0):
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain * inputs ** -0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class VisionLayer(nn.Module):
    def __init__(self, c: Dims):
        super().__init__()
        self.heads, w, out = c.vision_heads, c.vision_width, (2 * c.vision_layers) ** -0.5
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(w, eps=1e-6), nn.LayerNorm(w, eps=1e-6)
        self.self_attn = nn.ModuleDict(dict(q_proj=linear(w, w, True), k_proj=linear(w, w, True),
                                            v_proj=linear(w, w, True), out_proj=linear(w, w, True, out)))
        self.mlp = nn.ModuleDict(dict(fc1=linear(w, c.vision_mlp, True), fc2=linear(c.vision_mlp, w, True, out)))

    def forward(self, x):
        b, t, w = x.shape
        a, h = self.self_attn, self.layer_norm1(x)
        q, k, v = (a[n](h).view(b, t, self.heads, -1).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        x = x + a["out_proj"](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, w))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.layer_norm2(x)), approximate="tanh"))


class TextLayer(nn.Module):
    """One layer of Gemma with a single key-value head."""

    def __init__(self, c: Dims):
        super().__init__()
        self.heads, self.dim, w, out = c.heads, c.head_dim, c.width, (2 * c.layers) ** -0.5
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(w), RMSNorm(w)
        self.self_attn = nn.ModuleDict(dict(
            q_proj=linear(w, c.heads * c.head_dim), k_proj=linear(w, c.head_dim), v_proj=linear(w, c.head_dim),
            o_proj=linear(c.heads * c.head_dim, w, gain=out)))
        self.mlp = nn.ModuleDict(dict(gate_proj=linear(w, c.mlp), up_proj=linear(w, c.mlp),
                                      down_proj=linear(c.mlp, w, gain=out)))

    def forward(self, x, cos, sin, mask, first=0):
        """Returns the positions from `first` on. Those before it only give keys and values."""
        b, t, _ = x.shape
        a, h, half = self.self_attn, self.input_layernorm(x), self.dim // 2

        def rotate(z, c, s):
            return z * c + torch.cat((-z[..., half:], z[..., :half]), -1) * s

        q = a["q_proj"](h[:, first:]).view(b, t - first, self.heads, self.dim).transpose(1, 2)
        k = rotate(a["k_proj"](h).view(b, t, 1, self.dim).transpose(1, 2), cos, sin)
        v = a["v_proj"](h).view(b, t, 1, self.dim).transpose(1, 2)
        q = rotate(q, cos[first:], sin[first:])
        k, v = k.expand(b, self.heads, t, self.dim), v.expand(b, self.heads, t, self.dim)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, :, first:])
        x = x[:, first:] + a["o_proj"](mixed.transpose(1, 2).reshape(b, t - first, -1))
        h = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.gelu(self.mlp["gate_proj"](h), approximate="tanh") * self.mlp["up_proj"](h))


class ShapesModel(nn.Module):
    def __init__(self, c: Dims, vocab: int, first_location: int):
        super().__init__()
        self.dims, self.vocab = c, vocab
        self.patch = linear(3 * c.patch * c.patch, c.vision_width, True)
        self.position = nn.Parameter(_sines(c.side, c.vision_width))
        self.vision = nn.ModuleList(VisionLayer(c) for _ in range(c.vision_layers))
        self.vision_norm = nn.LayerNorm(c.vision_width, eps=1e-6)
        self.projector = linear(c.vision_width, c.width, True)
        self.embedding = nn.Parameter(_embedding(vocab, c.width, first_location))
        self.text = nn.ModuleList(TextLayer(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.width)
        inverse = 1.0 / (10000.0 ** (torch.arange(0, c.head_dim, 2).float() / c.head_dim))
        self.register_buffer("inverse", inverse, persistent=False)

    def patches(self, u8):
        """(B, S, S, 3) u8 -> (B, patches, 3 * P * P), channels first within a patch, patches row by row."""
        n, p = self.dims.side, self.dims.patch
        x = (u8.float() / 127.5 - 1).view(-1, n, p, n, p, 3)
        return x.permute(0, 1, 3, 5, 2, 4).reshape(len(u8), n * n, -1)

    def see(self, u8):
        """Image features for the decoder, and the output of the vision tower."""
        x = self.patch(self.patches(u8)) + self.position
        for layer in self.vision:
            x = layer(x)
        x = self.vision_norm(x)
        return self.projector(x), x

    def read(self, features, ids, prefix, total):
        """Final hidden states of the text positions: ids (B, T) padded, with `prefix` of `total` tokens in the
        prompt."""
        n, t = features.shape[1], ids.shape[1]
        x = torch.cat([features, F.embedding(ids, self.embedding) * math.sqrt(self.dims.width)], 1)
        at = torch.arange(n + t)
        angle = (at[:, None] + 1).float() * self.inverse[None]
        angle = torch.cat([angle, angle], -1)
        in_prefix, inside = at[None] < n + prefix[:, None], at[None] < n + total[:, None]
        mask = (at[None, None] <= at[None, :, None]) | (in_prefix[:, None, :] & in_prefix[:, :, None])
        mask = ((mask & inside[:, None, :]) | torch.eye(n + t, dtype=torch.bool)[None])[:, None]
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for layer in self.text[:-1]:
            x = layer(x, cos, sin, mask)
        return self.norm(self.text[-1](x, cos, sin, mask, first=n))

    @torch.no_grad()
    def whiten(self, u8):
        """Initialise the patch embedding with a PCA whitening of real patches, rotated so that no channel is one
        component."""
        x = self.patches(u8).flatten(0, 1)
        mean = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(x.T))
        w = self.dims.vision_width
        values, vectors = values.flip(0)[:w], vectors.flip(1)[:, :w]
        white = vectors.T / (values + 0.003 * values.sum() / 8).sqrt()[:, None]
        white = torch.linalg.qr(torch.randn(w, w)).Q @ white
        self.patch.weight.copy_(white)
        self.patch.bias.copy_(-white @ mean)

    def references(self) -> dict:
        """The parameters, not copied, by the names of the published PaliGemma files."""
        p, vision = self.dims.patch, "vision_tower.vision_model."
        out = {vision + "embeddings.patch_embedding.weight": self.patch.weight.view(-1, 3, p, p),
               vision + "embeddings.patch_embedding.bias": self.patch.bias,
               vision + "embeddings.position_embedding.weight": self.position,
               vision + "post_layernorm.weight": self.vision_norm.weight,
               vision + "post_layernorm.bias": self.vision_norm.bias,
               "multi_modal_projector.linear.weight": self.projector.weight,
               "multi_modal_projector.linear.bias": self.projector.bias,
               "language_model.model.embed_tokens.weight": self.embedding,
               "language_model.model.norm.weight": self.norm.weight}
        for name, layers in ((vision + "encoder", self.vision), ("language_model.model", self.text)):
            for i, layer in enumerate(layers):
                out.update({f"{name}.layers.{i}.{k}": v for k, v in layer.state_dict().items()})
        return {k: v.detach() for k, v in out.items()}

    def published(self) -> dict:
        """What a published file holds: the parameters in bf16."""
        return {k: v.to(torch.bfloat16).contiguous().clone() for k, v in self.references().items()}

    @torch.no_grad()
    def load(self, folder):
        """Takes over the weights of a saved folder."""
        from safetensors.torch import load_file
        saved = load_file(f"{folder}/model.safetensors")
        for name, parameter in self.references().items():
            parameter.copy_(saved[name])

    def config(self, pieces) -> dict:
        """config.json: <image> follows the tokenizer's `pieces`."""
        c = self.dims
        return dict(
            architectures=["PaliGemmaForConditionalGeneration"], model_type="paligemma", image_token_index=pieces,
            projection_dim=c.width, hidden_size=c.width, vocab_size=self.vocab, pad_token_id=0, bos_token_id=2,
            eos_token_id=1, torch_dtype="bfloat16",
            text_config=dict(model_type="gemma", hidden_size=c.width, intermediate_size=c.mlp,
                             num_hidden_layers=c.layers, num_attention_heads=c.heads, num_key_value_heads=1,
                             head_dim=c.head_dim, vocab_size=self.vocab, num_image_tokens=c.side ** 2,
                             hidden_act="gelu_pytorch_tanh"),
            vision_config=dict(model_type="siglip_vision_model", hidden_size=c.vision_width,
                               intermediate_size=c.vision_mlp, num_hidden_layers=c.vision_layers,
                               num_attention_heads=c.vision_heads, patch_size=c.patch, image_size=c.image,
                               projection_dim=c.width, vision_use_head=False))

    def save(self, folder, pieces):
        from safetensors.torch import save_file
        save_file(self.published(), f"{folder}/model.safetensors", metadata={"format": "pt"})
        with open(f"{folder}/config.json", "w") as f:
            json.dump(self.config(pieces), f, indent=2)
        generation = dict(bos_token_id=2, eos_token_id=1, pad_token_id=0)
        with open(f"{folder}/generation_config.json", "w") as f:
            json.dump(generation, f, indent=2)


def _sines(n, width):
    """Two-dimensional sines, so that coordinates are readable from the first step on. Training changes them."""
    y, x = torch.meshgrid(torch.arange(n).float(), torch.arange(n).float(), indexing="ij")
    rate = math.pi / 2 / (100.0 ** (torch.arange(width // 4).float() / (width // 4)))
    fx, fy = x.reshape(-1, 1) * rate, y.reshape(-1, 1) * rate
    return torch.cat([fx.sin(), fx.cos(), fy.sin(), fy.cos()], 1) * 0.7


def _embedding(vocab, width, first_location):
    """Random rows. Neighbouring <loc> rows begin similar: they are a random projection of Fourier features."""
    rows = torch.randn(vocab, width) * width ** -0.5
    t, k = torch.arange(1024)[:, None] / 1023.0, torch.arange(1, 25)[None]
    waves = torch.cat([torch.cos(math.pi * k * t), torch.sin(math.pi * k * t)], 1) / k.sqrt().repeat(1, 2)
    waves = waves / waves.std() * width ** -0.5
    at = slice(first_location, first_location + 1024)
    rows[at] = 0.3 * rows[at] + waves @ (torch.randn(48, width) / 48 ** 0.5)
    return rows




def stack(arrays):
    return torch.from_numpy(np.stack(arrays))
