"""Meshes of the solids: convex polygons with outward normals, z up, about one unit in radius."""
from dataclasses import dataclass
from functools import cache

import numpy as np

SOLIDS = ["cube", "sphere", "cone", "cylinder", "torus", "pyramid"]
TORUS_RING = 0.68


@dataclass(frozen=True)
class Mesh:
    """Faces of any number of corners, stored flat: face i has the points starts[i] : starts[i + 1]."""

    points: np.ndarray
    starts: np.ndarray
    centres: np.ndarray
    normals: np.ndarray
    convex: bool


@cache
def mesh(kind: str, segments: int = 24) -> Mesh:
    """The mesh of a solid. Round parts are approximated by `segments` sides."""
    faces = _FACES[kind](segments)
    centres = np.stack([f.mean(0) for f in faces])
    outward = centres
    if kind == "torus":  # outward is away from the circle in the middle of the tube
        ring = centres * [1, 1, 0]
        outward = centres - ring / np.linalg.norm(ring, axis=1, keepdims=True) * TORUS_RING
    normals = np.stack([_normal(f) for f in faces])
    normals *= np.sign((normals * outward).sum(1, keepdims=True) + 1e-12)
    starts = np.cumsum([0] + [len(f) for f in faces])
    return Mesh(np.concatenate(faces), starts, centres, normals, kind != "torus")


def _normal(face):
    n = np.cross(face[1] - face[0], face[2] - face[0])
    if np.abs(n).sum() <= 1e-9:  # at a sphere's pole two corners coincide
        n = np.cross(face[2] - face[0], face[-1] - face[0])
    return n / (np.linalg.norm(n) + 1e-12)


def _ring(segments, radius, z):
    t = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    return np.stack([radius * np.cos(t), radius * np.sin(t), np.full(segments, z)], -1)


def _sides(low, high):
    """Quadrilaterals between two rings of the same number of points."""
    n = len(low)
    return [np.stack([low[i], low[(i + 1) % n], high[(i + 1) % n], high[i]]) for i in range(n)]


def _to_apex(base, z):
    n, apex = len(base), np.array([0, 0, z])
    return [base] + [np.stack([base[i], base[(i + 1) % n], apex]) for i in range(n)]


def _cube(_):
    s, out = 0.62, []
    for axis in range(3):
        u, v = [i for i in range(3) if i != axis]
        for side in (-s, s):
            f = np.zeros((4, 3))
            f[:, axis], f[:, u], f[:, v] = side, [-s, s, s, -s], [-s, -s, s, s]
            out.append(f)
    return out


def _sphere(segments):
    u = np.linspace(0, np.pi, segments // 2 + 1)
    rings = [_ring(segments, 0.85 * np.sin(a), 0.85 * np.cos(a)) for a in u]
    return [f for a, b in zip(rings, rings[1:]) for f in _sides(a, b)]


def _cone(segments):
    return _to_apex(_ring(segments, 0.78, -0.7), 0.95)


def _cylinder(segments):
    low, high = _ring(segments, 0.6, -0.8), _ring(segments, 0.6, 0.8)
    return [low, high] + _sides(low, high)


def _torus(segments):
    v = np.linspace(0, 2 * np.pi, segments // 2, endpoint=False)
    rings = [_ring(segments, TORUS_RING + 0.27 * np.cos(a), 0.27 * np.sin(a)) for a in v]
    return [f for a, b in zip(rings, rings[1:] + rings[:1]) for f in _sides(a, b)]


def _pyramid(_):
    s = 0.72
    return _to_apex(np.array([[-s, -s, -0.6], [s, -s, -0.6], [s, s, -0.6], [-s, s, -0.6]]), 0.85)


_FACES = dict(cube=_cube, sphere=_sphere, cone=_cone, cylinder=_cylinder, torus=_torus, pyramid=_pyramid)
