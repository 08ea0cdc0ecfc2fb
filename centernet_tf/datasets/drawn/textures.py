"""Ground for drawn images: patterns, noise at several scales, distracting lines; and patterns that objects wear."""

import dataclasses

import cv2
import numpy as np

WORN = ("stripes", "checks", "dots")


@dataclasses.dataclass(frozen=True, eq=False)
class Pattern:
    """What an object wears, so that it can be told from its like: a second colour in a regular pattern.

    Attributes:
        kind: One of `WORN`.
        angle: Of the pattern in the object's own frame, radians.
        pitch: From one stripe or dot to the next, as a fraction of the object's size.
        phase: [2] radians, where it begins.
        color: [3] RGB, the second colour.
    """

    kind: str
    angle: float
    pitch: float
    phase: np.ndarray
    color: np.ndarray

    def weight(self, points: np.ndarray) -> np.ndarray:
        """How much of the second colour is at points [..., 2] (x, y) of the object's frame, of size 1; 0 to 1."""
        turn = np.array([[np.cos(self.angle), -np.sin(self.angle)], [np.sin(self.angle), np.cos(self.angle)]])
        waves = np.sin(points @ turn * (2 * np.pi / self.pitch) + self.phase)
        wave = {"stripes": waves[..., 0], "checks": waves.prod(-1) * 2, "dots": waves.sum(-1) - 0.6}[self.kind]
        return np.clip(0.5 + 1.5 * wave, 0, 1)  # steep, yet smooth over about a pixel


def worn_patterns(rng: np.random.Generator, count: int, colors: np.ndarray) -> list[Pattern]:
    """Patterns that differ from each other in all they have: kind, angle, pitch and second colour.

    Args:
        rng: Where the choices come from.
        count: How many.
        colors: [M, 3] RGB to choose second colours from; taken in turn.
    """
    kinds, starts = rng.permutation(len(WORN)), rng.uniform(0, 1, 3)
    # The golden ratio's multiples leave the largest gaps, however many are wanted.
    spread = (starts + np.arange(count)[:, None] * np.array([0.618034, 0.754878, 0.569840])) % 1
    return [
        Pattern(
            kind=WORN[kinds[number % len(WORN)]],
            angle=np.pi * angle,
            pitch=0.28 + 0.27 * pitch,  # eight pixels or more of an object of thirty
            phase=rng.uniform(0, 2 * np.pi, 2),
            color=colors[int(color * len(colors))],
        )
        for number, (angle, pitch, color) in enumerate(spread)
    ]


def textured_ground(rng: np.random.Generator, size: tuple[int, int], texture: float, lines: int) -> np.ndarray:
    """Two related colours mixed by a pattern, noise at two scales, and lines that are no objects.

    Args:
        rng: Where the choices come from.
        size: Height and width in pixels, at least 32 each.
        texture: Strength of the pattern, 0 (one colour) to 1.
        lines: Most lines and arcs drawn.

    Returns:
        [H, W, 3] float32, RGB from about 0 to 255; not clipped, so that what is painted on it stays exact.
    """
    first = rng.uniform(30, 225, 3)
    second = first + texture * (rng.uniform(0, 255, 3) - first)
    pattern = _pattern(rng, size)[..., None]
    image = (first + pattern * (second - first)).astype(np.float32)
    for cell in (3, 12):
        image += 40 * texture * (_blobs(rng, size, cell)[..., None] - 0.5)
    for _ in range(rng.integers(0, lines + 1)):
        _line(rng, image)
    return image


def _pattern(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """[H, W] float32 from 0 to 1: a gradient, stripes, a chequerboard or clouds."""
    height, width = size
    kind = rng.choice(["gradient", "stripes", "chequers", "clouds"])
    if kind == "clouds":
        return _blobs(rng, size, max(4, min(size) // 5))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns
    if kind == "gradient":
        return (along - along.min()) / np.ptp(along)
    pitch = 2 * np.pi / rng.uniform(6, min(size) / 3)
    waves = np.sin(along * pitch) if kind == "stripes" else np.sin(along * pitch) * np.sin(across * pitch)
    return np.clip(0.5 + rng.uniform(0.6, 3) * waves, 0, 1)


def _blobs(rng: np.random.Generator, size: tuple[int, int], cell: int) -> np.ndarray:
    """[H, W] float32 from 0 to 1: random values on a grid of `cell` pixels, smooth between."""
    coarse = rng.random((size[0] // cell + 2, size[1] // cell + 2), np.float32)
    return np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def _line(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draws an open line or arc, which is no object, onto the image."""
    height, width = image.shape[:2]
    color = tuple(map(float, rng.uniform(0, 255, 3)))
    thickness = int(rng.integers(1, max(2, min(height, width) // 64) + 1))
    points = [tuple(map(int, point)) for point in rng.uniform(0, (width, height), (2, 2))]
    if rng.random() < 0.5:
        cv2.line(image, points[0], points[1], color, thickness, cv2.LINE_AA)
    else:
        axes = tuple(map(int, rng.uniform(0.1, 0.5, 2) * min(height, width)))
        start = rng.uniform(0, 360)
        cv2.ellipse(image, points[0], axes, 0, start, start + rng.uniform(40, 150), color, thickness, cv2.LINE_AA)
