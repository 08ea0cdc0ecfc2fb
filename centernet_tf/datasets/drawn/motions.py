"""Videos of actions without a download: drawn shapes that go left or right, grow, turn, or stop where they are.

No single frame tells what an object does: shape, colour, place, size and tilt are drawn by lot before its action is,
and whoever does not move, grow or turn stands as if it did and were stopped at any of its frames.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from centernet_tf.datasets.drawn.film import MOST_OBJECTS, paint_over
from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.shapes import CLASSES, OUTLINES, colors_of, standing_out
from centernet_tf.datasets.drawn.textures import textured_ground
from centernet_tf.datasets.items import Item, Split
from centernet_tf.errors import UsageError
from centernet_tf.properties.tracks import Tracks

ACTIONS = ("left", "right", "grow", "turn", "stop")
KINDS = ("triangle", "rectangle", "star", "cross")  # that show how they are tilted
# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (256, 256)},)


@dataclasses.dataclass(frozen=True)
class Motions:
    """What a video may contain.

    Attributes:
        frames: Of each video.
        objects: Fewest and most objects at a time.
        lasts: Fewest and most frames that an object is there, and does what it does.
        pause: The most frames until another takes its place.
        sizes: Shortest and longest longer side of an object in the middle of its time, before it is tilted, as a
            fraction of the image's shorter side.
        speed: Least and most that an object moves from frame to frame, as a fraction of the image's shorter side.
        growth: Least and most that a side grows from frame to frame, as a fraction of itself.
        turn: Least and most degrees that an object turns from frame to frame.
        rate: Frames a second; only the times of the frames depend on it.
        visible: The smallest part of an object that must be seen for it to be annotated.
        contrast: Smallest distance of an object's colour from the ground's, RGB levels, 0 to 441.
        texture: Strength of the ground's pattern, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
    """

    frames: int = 48
    objects: tuple[int, int] = (1, 3)
    lasts: tuple[int, int] = (16, 24)
    pause: int = 8
    sizes: tuple[float, float] = (0.16, 0.26)
    speed: tuple[float, float] = (0.012, 0.02)
    growth: tuple[float, float] = (0.02, 0.035)
    turn: tuple[float, float] = (5.0, 10.0)
    rate: float = 12.0
    visible: float = 0.25
    contrast: float = 110.0
    texture: float = 0.35
    noise: float = 0.02

    def __post_init__(self) -> None:
        low, high = self.objects
        if not 0 <= low <= high <= MOST_OBJECTS:
            raise UsageError(f"actions: objects {self.objects} must be two counts, fewest first, 0 to {MOST_OBJECTS}.")
        if self.frames < 1 or not self.rate > 0 or self.pause < 0:
            raise UsageError(
                f"actions: {self.frames} frames at {self.rate} a second, pause {self.pause}; expected at least 1, "
                "above 0, at least 0."
            )
        if not 2 <= self.lasts[0] <= self.lasts[1]:
            raise UsageError(f"actions: lasts is {self.lasts}; expected two numbers of frames from 2, fewest first.")
        for name, most in (("sizes", 1.0), ("speed", 1.0), ("growth", 1.0), ("turn", 180.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise UsageError(f"actions: {name} is {(low, high)}; expected above 0 to {most:g}, least first.")
        if 2 * self.margin + self.speed[0] * (self.lasts[1] - 1) > 1:
            raise UsageError(
                f"actions: objects of {self.sizes[1]:g} of the image that grow by {self.growth[1]:g} and move by "
                f"{self.speed[0]:g} for {self.lasts[1]} frames leave it. Lower one of these."
            )
        for name in ("visible", "texture", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"actions: {name} is {getattr(self, name)}; expected 0 to 1.")

    @property
    def margin(self) -> float:
        """The furthest that an object reaches from its middle, as a fraction of the image's shorter side."""
        return self.sizes[1] * np.sqrt(0.5) * np.exp(self.growth[1] * self.lasts[1] / 2)


@dataclasses.dataclass(frozen=True, eq=False)
class Life:
    """An object from its first frame to its last.

    Attributes:
        action: Position in `ACTIONS`.
        first: Its first frame.
        count: How many it has.
        curves: Of size 1, around its middle.
        middle: [2] pixels, in the middle of its time.
        size: Pixels of its longer side then.
        tilt: Radians then.
        steps: [3] pixels, logarithm of the size and radians by which it goes on from frame to frame, if it does.
        stopped: [3] the frame from its first at which place, size and tilt stand still, if they do.
        color: [3] RGB.
        shade: [2].
    """

    action: int
    first: int
    count: int
    curves: tuple[np.ndarray, ...]
    middle: np.ndarray
    size: float
    tilt: float
    steps: np.ndarray
    stopped: np.ndarray
    color: np.ndarray
    shade: np.ndarray

    def state(self, frame: int) -> tuple[np.ndarray, float, float]:
        """Its middle [2] in pixels, its size in pixels and its tilt in radians at a frame of the video."""
        action = ACTIONS[self.action]
        goes = np.array([action in ("left", "right"), action == "grow", action == "turn"])
        elapsed = np.where(goes, frame - self.first, self.stopped) - (self.count - 1) / 2
        aside, larger, turned = elapsed * self.steps
        aside = -aside if action == "left" else aside
        return self.middle + np.array([aside, 0.0]), self.size * float(np.exp(larger)), self.tilt + float(turned)

    def place(self, frame: int) -> list[np.ndarray]:
        """Its curves [P, 2] (x, y) in pixels."""
        middle, size, tilt = self.state(frame)
        rotation = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        return [middle + size * curve @ rotation for curve in self.curves]


def read(
    count: int,
    size: tuple[int, int] = (128, 128),
    *,
    seed: int = 0,
    split: str = "train",
    motions: Motions | None = None,
) -> Split:
    """A split of drawn videos of actions.

    Args:
        count: Number of videos.
        size: Height and width in pixels, at least 32 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their videos differ.
        split: "train", "val", ...
        motions: What the videos may contain.

    Returns:
        The actions as classes, the frames in order, and the property tracks, whose identities are of tubes.

    Raises:
        UsageError: There would be no videos, they would be too small, or the seed is negative.
    """
    motions = motions or Motions()
    if min(size) < 32:
        raise UsageError(f"actions: size {size[0]}x{size[1]} is too small; height and width must be at least 32.")

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        *start, index = numbers
        video, frame = divmod(index, motions.frames)
        image, boxes, classes, ids = draw_frame((*start, video), frame, size, motions)
        return {
            "source": image,
            "boxes": boxes,
            "classes": classes,
            "rows": {"track_ids": ids},
            "video": f"{video:04d}",
            "frame": frame + 1,
            "time": frame / motions.rate,
        }

    items: Sequence[Item] = DrawnItems("actions", count * motions.frames, seed, split, draw)
    return Split(ACTIONS, items, (Tracks(tubes=True),))


def draw_frame(
    seed: Sequence[int], frame: int, size: tuple[int, int], motions: Motions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draws one frame of one video; the same arguments always draw the same one.

    Args:
        seed: Whole numbers from 0 that name the video.
        frame: Its number, from 0.
        size: Height and width in pixels.
        motions: What the video may contain.

    Returns:
        Image [H, W, 3] uint8, RGB; boxes [N, 4] float32 left, top, right, bottom in pixels, around all of each object,
        hidden or not; classes [N] int64, positions in `ACTIONS`; identities [N] int64.
    """
    ground, things = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    grain = np.random.default_rng([*seed, frame])
    image = textured_ground(ground, size, motions.texture, lines=4)
    everybody = list(enumerate(draw_lives(things, image, motions)))
    there = [(number, life) for number, life in everybody if 0 <= frame - life.first < life.count]
    looks = [(lambda region, life=life: life.color, life.shade) for _, life in there]
    boxes, seen = paint_over(image, [life.place(frame) for _, life in there], looks)
    if motions.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * motions.noise)
    shown = np.flatnonzero(seen >= max(motions.visible, 1e-9))
    actions, ids = np.array([(life.action, number) for number, life in there], np.int64).reshape(-1, 2)[shown].T
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), boxes[shown], actions, ids


def draw_lives(rng: np.random.Generator, ground: np.ndarray, motions: Motions) -> list[Life]:
    """Everyone who is ever in a video on this ground [H, W, 3], by lot."""
    least, most = np.minimum(motions.lasts, motions.frames)
    lives = []
    for _ in range(rng.integers(motions.objects[0], motions.objects[1] + 1)):
        first = int(rng.integers(min(motions.pause, motions.frames - least) + 1))
        while first + least <= motions.frames:
            count = int(rng.integers(least, min(most, motions.frames - first) + 1))
            lives.append(_life(rng, first, count, ground, motions))
            first += count + int(rng.integers(motions.pause + 1))
    return lives


def _life(rng: np.random.Generator, first: int, count: int, ground: np.ndarray, motions: Motions) -> Life:
    """Draws all of an object and only then what it does."""
    height, width = ground.shape[:2]
    side = min(height, width)
    kind = KINDS[rng.integers(len(KINDS))]
    outline = OUTLINES[kind]
    long = side * float(np.exp(rng.uniform(*np.log(motions.sizes))))
    growth = rng.uniform(*motions.growth)
    # Whoever grows or goes stays in the image from the first frame to the last.
    margin = long * np.sqrt(0.5) * np.exp(growth * count / 2)
    most = min(motions.speed[1] * side, (width - 2 * margin) / max(count - 1, 1))
    step = rng.uniform(min(motions.speed[0] * side, most), most)
    edge = np.array([margin + step * (count - 1) / 2, margin])
    return Life(
        first=first,
        count=count,
        curves=tuple(curve / np.ptp(outline[0], axis=0).max() for curve in outline),
        middle=rng.uniform(edge, np.array([width, height]) - edge),
        size=long,
        tilt=rng.uniform(0, 2 * np.pi),
        steps=np.array([step, growth, np.deg2rad(rng.uniform(*motions.turn)) * rng.choice([-1, 1])]),
        stopped=rng.integers(0, count, 3),
        color=standing_out(colors_of(rng, CLASSES.index(kind), 1.0), ground, motions.contrast),
        shade=rng.uniform(-25, 25, 2),
        action=int(rng.integers(len(ACTIONS))),
    )
