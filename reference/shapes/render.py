"""Scenes of coloured solids or flat shapes, drawn with Pillow.

The unit of length makes the area of a scene 1, so that a scene can be rendered at any size. Scenes need not be
square. The model sees them squeezed to a square, as PaliGemma sees a photograph.
"""
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from .geometry import SOLIDS, mesh

COLOURS = dict(red=(214, 40, 40), green=(46, 160, 67), blue=(45, 90, 220), yellow=(240, 205, 50),
               purple=(140, 60, 190), orange=(240, 130, 30), cyan=(50, 195, 205), pink=(240, 120, 175))
FLAT = ["circle", "square", "triangle", "star"]
SHAPES = SOLIDS + FLAT
EYE = 4.5  # distance of the camera from a solid, in radii
REACH = 1.2  # how far from its centre a shape can extend, in radii

# The mix of scenes: shares of 1, 2 and 3 objects, and the share of solids among them.
COUNTS = (0.60, 0.25, 0.15)
SOLID_SHARE = {1: 0.65, 2: 0.35, 3: 0.25}
RADII = {1: (0.17, 0.38), 2: (0.15, 0.24), 3: (0.13, 0.19)}


@dataclass
class Item:
    """One object of a scene. Drawing sets `box` (y1, x1, y2, x2) and `faces`, which together are its silhouette:
    polygons of (x, y). All are fractions of the image."""

    name: str
    colour: str
    rgb: np.ndarray
    x: float
    y: float
    radius: float
    yaw: float
    pitch: float
    roll: float
    shadow: bool
    box: tuple = ()
    faces: list = field(default_factory=list)


@dataclass
class Scene:
    aspect: float  # width / height
    background: np.ndarray
    gradient: float
    light: np.ndarray
    items: list = field(default_factory=list)

    @property
    def width(self):
        return self.aspect ** 0.5

    @property
    def height(self):
        return self.aspect ** -0.5


def sample_scene(rng, count=None, solid=None, aspect=None) -> Scene:
    """A random scene by the mix above, with the given values fixed."""
    if count is None:
        count = 1 + int(rng.choice(3, p=COUNTS))
    if solid is None:
        solid = rng.random() < SOLID_SHARE[count]
    if aspect is None:
        aspect = float(np.exp(rng.uniform(-0.35, 0.35)))
    base = rng.uniform(20, 70, 3) if rng.random() < 0.25 else rng.uniform(150, 240, 3)
    light = np.array([rng.uniform(-0.6, 0.6), rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.0)])
    scene = Scene(aspect, base * 0.35 + base.mean() * 0.65, rng.uniform(-25, 25), light / np.linalg.norm(light))
    names = rng.permutation(SOLIDS if solid else FLAT)[:count]
    colours = rng.permutation(list(COLOURS))[:count]
    for _ in range(60):
        radii = rng.uniform(*RADII[count], count)
        xs = [rng.uniform(min(REACH * r, scene.width / 2), max(scene.width - REACH * r, scene.width / 2)) for r in radii]
        ys = [rng.uniform(min(REACH * r, scene.height / 2), max(scene.height - REACH * r, scene.height / 2)) for r in radii]
        if _apart(xs, ys, radii, scene.width):
            break
    else:
        return sample_scene(rng, count, solid)
    for name, colour, x, y, r in zip(names, colours, xs, ys, radii):
        rgb = (np.array(COLOURS[colour]) * rng.uniform(0.88, 1.1) + rng.uniform(-10, 10, 3)).clip(0, 255)
        yaw, pitch = (rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.9)) if solid else (0.0, 0.0)
        roll = rng.uniform(-0.2, 0.2) if solid else rng.uniform(-0.35, 0.35)
        scene.items.append(Item(str(name), str(colour), rgb, x, y, r, yaw, pitch, roll, bool(solid and rng.random() < 0.7)))
    scene.items.sort(key=lambda i: i.x)
    return scene


def _apart(xs, ys, radii, width):
    """Whether no objects overlap and their order from left to right is clear."""
    for i in range(len(xs)):
        for j in range(i):
            if abs(xs[i] - xs[j]) < 0.1 * width or np.hypot(xs[i] - xs[j], ys[i] - ys[j]) < (radii[i] + radii[j]) * 1.05:
                return False
    return True


def draw(scene: Scene, size: int, supersample: int = 2, segments: int = 24) -> Image.Image:
    """The scene as an image of about size x size pixels in area; sets the box and the faces of every item."""
    out = round(size * scene.width), round(size * scene.height)
    w, h = out[0] * supersample, out[1] * supersample
    rows = scene.background[None] + scene.gradient * np.linspace(-1, 1, h)[:, None]
    rows = rows.clip(0, 255).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(rows[:, None], (h, w, 3)).copy())
    pen, scale = ImageDraw.Draw(image), size * supersample
    for item in scene.items:
        if item.name in FLAT:
            faces = _flat(pen, item, scale)
        else:
            faces = _solid(pen, item, scale, scene, segments)
        item.faces = [face / [w, h] for face in faces]
        points = np.concatenate(faces)
        (x1, y1), (x2, y2) = points.min(0), points.max(0)
        item.box = tuple(float(np.clip(v, 0, 1)) for v in (y1 / h, x1 / w, y2 / h, x2 / w))
    return image if supersample == 1 else image.resize(out, Image.BOX)


def _flat(pen, item, scale):
    cx, cy, r = item.x * scale, item.y * scale, item.radius * scale
    fill = tuple(int(v) for v in item.rgb)
    if item.name == "circle":
        box = np.array([[cx - r, cy - r], [cx + r, cy + r]])
        pen.ellipse([tuple(p) for p in box], fill=fill)
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        return [np.stack([cx + r * np.cos(angle), cy + r * np.sin(angle)], -1)]
    corners = dict(square=4, triangle=3, star=10)[item.name]
    angle = item.roll - np.pi / (4 if item.name == "square" else 2) + np.arange(corners) * 2 * np.pi / corners
    reach = np.where(np.arange(corners) % 2 == 1, 0.48, 1.15) if item.name == "star" else np.full(corners, 1.15)
    points = np.stack([cx + np.cos(angle) * reach * r, cy + np.sin(angle) * reach * r], -1)
    pen.polygon([tuple(p) for p in points], fill=fill)
    return [points]


def _rotation(item):
    """Turned by yaw about the vertical, seen from `pitch` above the horizon, tilted by roll."""
    c, s = np.cos(item.yaw), np.sin(item.yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.sin(item.pitch), np.cos(item.pitch)
    tilt = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(item.roll), np.sin(item.roll)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ tilt @ turn


def _solid(pen, item, scale, scene, segments):
    """Faces in painter's order, each of one shade: ambient, diffuse and a highlight."""
    cx, cy, r = item.x * scale, item.y * scale, item.radius * scale
    if item.shadow:
        q = r * 0.8
        pen.ellipse((cx - q * 1.1, cy + r * 0.45, cx + q * 1.1, cy + r * 0.95),
                    fill=tuple(int(v) for v in (scene.background * 0.8).clip(0, 255)))
    m, view = mesh(item.name, segments), _rotation(item)
    points, centres, normals = m.points @ view.T, m.centres @ view.T, m.normals @ view.T
    half = scene.light + [0, 0, 1]
    diffuse = np.clip(normals @ scene.light, 0, 1)
    shine = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1) ** 24
    shade = (item.rgb * (0.42 + 0.58 * diffuse[:, None]) + 110 * shine[:, None]).clip(0, 255).astype(int)
    near = EYE / (EYE - points[:, 2])
    flat = np.stack([cx + points[:, 0] * near * r, cy - points[:, 1] * near * r], -1)
    facing = normals[:, 2] > (0.0 if m.convex else -0.02)
    seen = []
    for i in np.argsort(centres[:, 2]):
        if facing[i]:
            face = flat[m.starts[i]:m.starts[i + 1]]
            pen.polygon(face.ravel().tolist(), fill=tuple(shade[i].tolist()))
            seen.append(face)
    return seen


def silhouette(item, height, width, box=(0, 0, 1, 1)) -> np.ndarray:
    """Which of height x width pixels the item covers by more than half. They show the part `box` of the image.

    Returns bool (height, width)."""
    y1, x1, y2, x2 = box
    fine = Image.new("L", (width * 4, height * 4))
    pen = ImageDraw.Draw(fine)
    for face in item.faces:
        points = (face - [x1, y1]) / [x2 - x1, y2 - y1] * fine.size - 0.5
        pen.polygon(points.ravel().tolist(), fill=255)
    return np.asarray(fine.resize((width, height), Image.BOX)) > 127


def training_view(rng, scene, side: int, spoil=None) -> np.ndarray:
    """The scene as the model gets it: drawn at a random size, made harder by `spoil`, sometimes as JPEG, then resized to
    `side` by Pillow's bicubic.

    Returns u8 (side, side, 3)."""
    kind = rng.random()
    if kind < 0.6:  # a small picture
        image = draw(scene, side * 2, 1)
    elif kind < 0.9:
        image = draw(scene, int(rng.integers(side, 3 * side)), 2 if rng.random() < 0.5 else 1)
    else:
        image = draw(scene, int(rng.integers(3 * side, 5 * side)), 1)
    if spoil:
        image = spoil(image)
    if rng.random() < 0.4:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=int(rng.integers(55, 96)))
        image = Image.open(packed)
    pixels = np.asarray(image.resize((side, side), Image.BICUBIC)).astype(np.int16)
    if rng.random() < 0.7:
        pixels = pixels + rng.normal(0, rng.uniform(0, 5), pixels.shape).astype(np.int16)
    return pixels.clip(0, 255).astype(np.uint8)
