"""What helps a small model learn in minutes: a dense loss on the vision tower, soft locations, and Muon."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .render import COLOURS, SHAPES

SHAPE_CLASSES, COLOUR_CLASSES = len(SHAPES) + 1, len(COLOURS) + 1  # 0 is the background


def patch_labels(objects, n):
    """What each of n x n patches shows: shape, colour and box of the object there (0 where there is none)."""
    grid = (np.arange(n) + 0.5) / n
    yy, xx = np.meshgrid(grid, grid, indexing="ij")
    shape, colour = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    box, nearest = np.zeros((n, n, 4), np.float32), np.ones((n, n))
    for o in objects:
        y1, x1, y2, x2 = o["box"]
        away = ((yy - (y1 + y2) / 2) / ((y2 - y1) / 2 + 0.25 / n)) ** 2 + ((xx - (x1 + x2) / 2) / ((x2 - x1) / 2 + 0.25 / n)) ** 2
        here = away < nearest
        nearest[here] = away[here]
        shape[here], colour[here] = 1 + SHAPES.index(o["name"]), 1 + list(COLOURS).index(o["colour"])
        box[here] = np.array(o["box"], np.float32)
    return shape.reshape(-1), colour.reshape(-1), box.reshape(-1, 4)


class PatchHead(nn.Linear):
    """Reads shape, colour and box off every patch of the vision tower's output. Thrown away after training."""

    def __init__(self, width):
        super().__init__(width, SHAPE_CLASSES + COLOUR_CLASSES + 4)

    def loss(self, seen, labels):
        """The loss, the share of object patches whose shape is right, and the mean error of their boxes."""
        shape, colour, box = labels
        y = self(seen)
        ys, yc, yb = y.split([SHAPE_CLASSES, COLOUR_CLASSES, 4], -1)
        there = shape > 0
        off = (yb[there] - box[there]).abs().mean()
        loss = F.cross_entropy(ys.flatten(0, 1), shape.flatten()) + F.cross_entropy(yc.flatten(0, 1), colour.flatten())
        return loss + 6 * off, (ys.argmax(-1) == shape)[there].float().mean(), off


class SoftTokens:
    """Cross-entropy in which the targets of locations and code words are spread over what is near them.

    A location's target is a bell over its neighbours, `sigma` bins wide. A code word's target is a bell over the
    distances of the `codebook` (128, E), as wide as the mean distance to the nearest other code."""

    def __init__(self, first, sigma, codebook):
        bins = torch.arange(1024).float()
        apart = torch.cdist(codebook, codebook).square()
        nearest = (apart + torch.eye(len(apart)) * apart.max()).min(1).values.mean()
        self.runs = []  # (first token, table of targets)
        for start, exponent in ((first, 0.5 * ((bins[:, None] - bins[None]) / sigma) ** 2), (first + 1024, 2 * apart / nearest)):
            bell = torch.exp(-exponent)
            self.runs.append((start, bell / bell.sum(1, keepdim=True)))

    def __call__(self, logits, targets):
        """The loss of every token, which tokens are locations, and which are code words."""
        logp = F.log_softmax(logits, -1)
        loss, found = -logp.gather(1, targets[:, None])[:, 0], []
        for start, bell in self.runs:
            where = (targets >= start) & (targets < start + len(bell))
            soft = -(logp[where][:, start:start + len(bell)] * bell[targets[where] - start]).sum(1)
            loss = loss.masked_scatter(where, soft)
            found.append(where)
        return loss, *found


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by five Newton-Schulz steps: for hidden matrices only."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                x = p.grad.lerp(buffer, group["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = x.T if tall else x
                x = (x / (x.norm() + 1e-7)).bfloat16()
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                rate = group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - 0.02 * group["lr"]).add_((x.T if tall else x).float(), alpha=-rate)
