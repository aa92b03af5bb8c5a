"""A narrow VQ-VAE of masks, with the names and layouts of big_vision's vae-oid.npz. One mask is 64 x 64 pixels within
its box and becomes 16 code words on a 4 x 4 grid.

    python -m shapes.masks --out FOLDER/mask-decoder.safetensors --encoder ENCODER.pt --minutes 4

Decoder and codebook are shipped. The encoder only makes the labels to train with.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .render import draw, sample_scene, silhouette

SIDE, CODES = 64, 128
DIM, EMBEDDING = 64, 32  # big_vision's has 128 and 512
SEED = 50_000_000


class Residual(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.ReLU(), nn.Conv2d(dim, dim, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(dim, dim, 1))

    def forward(self, x):
        return x + self.net(x)


def _decoder():
    layers = [nn.Conv2d(EMBEDDING, DIM, 1), nn.ReLU(), Residual(DIM), Residual(DIM)]
    inputs = DIM
    for halvings in range(4):
        layers += [nn.ConvTranspose2d(inputs, DIM >> halvings, 4, stride=2, padding=1), nn.ReLU()]
        inputs = DIM >> halvings
    return nn.Sequential(*layers, nn.Conv2d(inputs, 1, 1))


def _encoder():
    layers, inputs = [], 1
    for width in (DIM // 4, DIM // 2, DIM, DIM):
        layers += [nn.Conv2d(inputs, width, 4, stride=2, padding=1), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, Residual(DIM), nn.Conv2d(DIM, EMBEDDING, 1))


class MaskVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = _encoder(), _decoder()
        self.register_buffer("codebook", torch.randn(CODES, EMBEDDING))
        self.register_buffer("uses", torch.ones(CODES))
        self.register_buffer("sums", self.codebook.clone())

    def quantise(self, z):
        """Codes (N, 4, 4) of an encoder's output (N, E, 4, 4)."""
        return torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, EMBEDDING), self.codebook).argmin(1).view(-1, 4, 4)

    def embed(self, codes):
        return self.codebook[codes].permute(0, 3, 1, 2)

    def loss(self, masks):
        """Reconstruction and commitment for masks of -1 and 1; moves the codebook towards what is encoded."""
        z = self.encoder(masks)
        codes = self.quantise(z.detach())
        e = self.embed(codes)
        with torch.no_grad():
            flat, at = z.detach().permute(0, 2, 3, 1).reshape(-1, EMBEDDING), codes.flatten()
            self.uses.lerp_(torch.zeros(CODES).index_add_(0, at, torch.ones(len(at))), 0.02)
            self.sums.lerp_(torch.zeros(CODES, EMBEDDING).index_add_(0, at, flat), 0.02)
            self.codebook.copy_(self.sums / self.uses.clamp(min=1e-3)[:, None])
            dead = (self.uses < 0.3).nonzero()[:, 0]
            fresh = flat[torch.randint(len(flat), (len(dead),))]
            self.codebook[dead], self.sums[dead], self.uses[dead] = fresh, fresh, torch.ones(len(dead))
        made = self.decoder(z + (e - z).detach())
        return F.mse_loss(made, masks) + 0.25 * F.mse_loss(z, e)

    @torch.no_grad()
    def codes(self, masks):
        """16 codes for each of the boolean masks (N, 64, 64)."""
        x = torch.from_numpy(np.asarray(masks)).float()[:, None] * 2 - 1
        return self.quantise(self.encoder(x)).flatten(1).tolist()

    def save(self, path):
        from safetensors.torch import save_file
        tensors = {f"decoder.{k}": v.contiguous() for k, v in self.decoder.state_dict().items()}
        save_file({"_vq_vae._embedding": self.codebook.contiguous(), **tensors}, path, metadata={"format": "pt"})


class MaskDecoder:
    """The shipped file, in torch: what evaluate.py uses."""

    def __init__(self, path):
        from safetensors.torch import load_file
        tensors = load_file(path)
        self.codebook = tensors.pop("_vq_vae._embedding")
        self.decoder = _decoder()
        self.decoder.load_state_dict({k.removeprefix("decoder."): v for k, v in tensors.items()})

    @torch.no_grad()
    def __call__(self, codes):
        """(64, 64) f32; inside is above 0."""
        e = self.codebook[torch.tensor(codes)].view(1, 4, 4, -1).permute(0, 3, 1, 2)
        return self.decoder(e)[0, 0].numpy()


def overlap(a, b):
    return float((a & b).sum() / max(1, (a | b).sum()))


def label(vae, items):
    """(codes, codes of the mirror image) of each drawn item."""
    masks = [silhouette(i, SIDE, SIDE, i.box) for i in items]
    found = vae.codes(masks + [m[:, ::-1] for m in masks])
    return list(zip(found, found[len(masks):]))


def sample_masks(count, seed):
    rng, masks = np.random.default_rng(seed), []
    while len(masks) < count:
        scene = sample_scene(rng)
        draw(scene, 64, 1)
        masks += [silhouette(i, SIDE, SIDE, i.box) for i in scene.items]
    return np.stack(masks[:count])


def train(minutes, count):
    masks, held_out = sample_masks(count, SEED), sample_masks(500, SEED + 1)
    masks = torch.from_numpy(np.concatenate([masks, masks[:, :, ::-1]])).float()[:, None] * 2 - 1
    vae = MaskVAE()
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=0.01)
    began, step = time.time(), 0
    while (done := (time.time() - began) / (minutes * 60)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * min(1, (1 - done) / 0.6)
        loss = vae.loss(masks[torch.randint(len(masks), (64,))])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 100 == 0:
            print(dict(step=step, seconds=round(time.time() - began), loss=round(loss.item(), 4)), flush=True)
    with torch.no_grad():
        codes = torch.tensor(vae.codes(held_out)).view(-1, 4, 4)
        made = (vae.decoder(vae.embed(codes))[:, 0] > 0).numpy()
    print(f"{step} steps; {len(codes.unique())} codes in use; mean IoU of {len(made)} held-out masks "
          f"{np.mean([overlap(a, b) for a, b in zip(held_out, made)]):.4f}")
    return vae


def load_encoder(path):
    vae = MaskVAE()
    vae.load_state_dict(torch.load(path))
    return vae


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--masks", type=int, default=6000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = train(args.minutes, args.masks)
    vae.save(args.out)
    torch.save(vae.state_dict(), args.encoder)


if __name__ == "__main__":
    main()
