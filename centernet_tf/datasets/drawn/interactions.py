"""Drawn interactions: arrows that touch shapes, lie in frames, stand above shapes or point at them.

Which shape an arrow points at no distance tells: others stand beside the line, often nearer to its middle than both
ends. Image number i of a split depends on nothing but the seed, the split's name and i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.relations import (
    CLASSES,
    FRAME,
    STEP,
    VERBS,
    Facts,
    Thing,
    UnclearError,
    clear_gap,
    facts,
    gap,
    overlap,
    relations,
)
from centernet_tf.datasets.drawn.samples import SAMPLES, rasterise, region_of, visible_box
from centernet_tf.datasets.drawn.shapes import colors_of, paint, standing_out
from centernet_tf.datasets.drawn.textures import textured_ground
from centernet_tf.datasets.items import Split
from centernet_tf.errors import UsageError
from centernet_tf.properties.interactions import Interactions

TRIES = 30  # places tried for one thing before the scene goes without it
SHARES = (0.2, 0.1, 0.3, 0.4)  # of the verbs among arrows; pointing is the hardest
TOUCHING_AT = 0.8  # pixels, where an arrow stops: what touches is up to 1 apart
SMALLEST = 64  # pixels of a side; below, an arrow has no head
# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (384, 384)},)


@dataclass(frozen=True)
class Scene:
    """What a scene may contain. Sizes are fractions of the image's shorter side.

    Attributes:
        arrows: Fewest and most arrows that do something; fewer are drawn where no room is left.
        decoys: The part of arrows that point at something or stand above it beside whose middle something else stands.
        strays: Most further shapes anywhere.
        arrow: Shortest and longest arrow.
        shape: Smallest and largest half side of a shape.
        frame: The same of a frame.
        contrast: Smallest distance of a colour from what surrounds it, RGB levels, 0 to 441.
        texture: Strength of the ground's pattern, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
    """

    arrows: tuple[int, int] = (1, 3)
    decoys: float = 0.8
    strays: int = 1
    arrow: tuple[float, float] = (0.16, 0.22)
    shape: tuple[float, float] = (0.06, 0.1)
    frame: tuple[float, float] = (0.16, 0.2)
    contrast: float = 110.0
    texture: float = 0.25
    noise: float = 0.02

    def __post_init__(self) -> None:
        low, high = self.arrows
        if not 0 <= low <= high <= 20:
            raise UsageError(f"interactions: {self.arrows} arrows must be two counts, fewest first, from 0 to 20.")


class _Stage:
    """The things of a scene, and what lies between them."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], scene: Scene) -> None:
        self.rng, self.size, self.scene = rng, size, scene
        self.side = float(min(size))
        self.things: list[Thing] = []
        self._facts: dict[tuple[int, int], Facts] = {}

    def add(self, thing: Thing) -> bool:
        """Takes in a thing, if it has room and everything stays clear."""
        margin = 2.0
        limit = np.array(self.size[::-1]) - margin
        if (thing.box[:2] < margin).any() or (thing.box[2:] > limit).any() or not self._has_room(thing):
            return False
        place = len(self.things)
        new = {}
        for number, other in enumerate(self.things):
            if thing.is_arrow:
                new[place, number] = facts(thing, other, self.side)
            if other.is_arrow:
                new[number, place] = facts(other, thing, self.side)
        self.things.append(thing)
        self._facts |= new
        try:
            self.pairs()
        except UnclearError:
            self.things.pop()
            for key in new:
                del self._facts[key]
            return False
        return True

    def _has_room(self, thing: Thing) -> bool:
        far = clear_gap(self.side)
        for other in self.things:
            if overlap(thing, other):
                return False
            alike = thing.is_arrow == other.is_arrow
            if alike and (gap(thing, other, far) < far or _within(thing, other) or _within(other, thing)):
                return False
            if not alike and not thing.is_arrow and _within(other, thing) and CLASSES[thing.kind] != FRAME:
                return False
        return True

    def pairs(self) -> list[tuple[int, int, int]]:
        """Arrow, other thing and verb of all that is done.

        Raises:
            UnclearError: It cannot be said of an arrow.
        """
        found = []
        for number, thing in enumerate(self.things):
            if thing.is_arrow:
                others = [place for place in range(len(self.things)) if place != number]
                done = relations([(self.things[place], self._facts[number, place]) for place in others])
                found += [(number, others[place], VERBS.index(verb)) for place, verb in done]
        return found

    def shape(self, near: np.ndarray | None = None, kind: int | None = None) -> Thing | None:
        """Adds a shape, anywhere or near a place; None where there is no room."""
        for _ in range(TRIES):
            label = int(self.rng.integers(1, len(CLASSES) - 1)) if kind is None else kind
            low, high = self.scene.frame if CLASSES[label] == FRAME else self.scene.shape
            center = self.rng.uniform(0, self.size[::-1]) if near is None else near + self._offset(0.1, 0.18)
            thing = Thing.at(label, center, self.side * self.rng.uniform(low, high), self.rng.uniform(0, 2 * np.pi))
            if self.add(thing):
                return thing
        return None

    def stray(self, near: np.ndarray) -> None:
        """Adds an arrow near a place, whatever it does there, if there is room."""
        for _ in range(TRIES):
            length, angle = self.side * self.rng.uniform(*self.scene.arrow), self.rng.uniform(0, 2 * np.pi)
            if self.add(Thing.at(0, near + self._offset(0.1, 0.2), length, angle)):
                return

    def arrow(self, target: Thing, verb: str) -> Thing | None:
        """Adds an arrow that does something to a shape; None where there is no room."""
        for _ in range(TRIES):
            length = self.side * self.rng.uniform(*self.scene.arrow)
            angle = self.rng.uniform(0, 2 * np.pi)
            thing = getattr(self, f"_{verb}")(target, length, angle)
            if self.add(thing):
                return thing
        return None

    def _offset(self, low: float, high: float) -> np.ndarray:
        angle, away = self.rng.uniform(0, 2 * np.pi), self.side * self.rng.uniform(low, high)
        return away * np.array([np.cos(angle), np.sin(angle)])

    def _inside(self, target: Thing, length: float, angle: float) -> Thing:
        return Thing.at(0, target.center + self.rng.uniform(-0.03, 0.03, 2) * self.side, length, angle)

    def _above(self, target: Thing, length: float, angle: float) -> Thing:
        width = target.box[2] - target.box[0]
        thing = Thing.at(0, target.center, length, angle)
        bottom = target.box[1] - self.side * self.rng.uniform(0.05, 0.3)
        to = np.array([target.center[0] + width * self.rng.uniform(-0.25, 0.25), bottom])
        return Thing.at(0, target.center + to - [thing.center[0], thing.box[3]], length, angle)

    def _point_at(self, target: Thing, length: float, angle: float) -> Thing:
        aside = angle + np.pi / 2
        goal = target.center + target.radius * self.rng.uniform(-0.35, 0.35) * np.array([np.cos(aside), np.sin(aside)])
        away = target.radius + self.side * self.rng.uniform(0.1, 0.4) + length / 2
        return Thing.at(0, goal - away * np.array([np.cos(angle), np.sin(angle)]), length, angle)

    def _touch(self, target: Thing, length: float, angle: float) -> Thing:
        """Comes nearer from any side until the edges meet."""
        way = self._offset(1.0, 1.0) / self.side
        low, high = 0.0, target.radius + length
        while high - low > STEP / 8:
            middle = (low + high) / 2
            thing = Thing.at(0, target.center + middle * way, length, angle)
            if gap(thing, target, 1.0) < TOUCHING_AT or overlap(thing, target):
                low = middle
            else:
                high = middle
        return Thing.at(0, target.center + high * way, length, angle)


def _within(thing: Thing, other: Thing) -> bool:
    """Whether the middle of one lies in the box of another."""
    return bool((thing.center > other.box[:2]).all() and (thing.center < other.box[2:]).all())


def _fill(stage: _Stage) -> None:
    """Adds arrows with what they do, what stands beside their middles, and further shapes."""
    rng, scene = stage.rng, stage.scene
    for _ in range(rng.integers(scene.arrows[0], scene.arrows[1] + 1)):
        verb = str(rng.choice(VERBS, p=SHARES))
        target = stage.shape(kind=CLASSES.index(FRAME) if verb == "inside" else None)
        arrow = stage.arrow(target, verb) if target is not None else None
        if arrow is not None and verb in ("above", "point_at") and rng.random() < scene.decoys:
            middle = (arrow.center + target.center) / 2
            stage.shape(near=middle)
            if rng.random() < 0.5:
                stage.stray(near=middle)
    for _ in range(rng.integers(scene.strays + 1) if scene.strays else 0):
        stage.shape()


def draw_interactions(
    seed: int | Sequence[int], size: tuple[int, int] = (128, 128), scene: Scene | None = None
) -> dict[str, Any]:
    """Draws one image; the same arguments always draw the same one.

    Args:
        seed: One or more whole numbers from 0, such as (seed, number of the image).
        size: Height and width in pixels, at least 64 each.
        scene: What the image may contain.

    Returns:
        "source" [H, W, 3] uint8 RGB; "boxes" [N, 4] float32, left, top, right, bottom in quarters of a pixel; "classes"
        [N], positions in `CLASSES`; "rows" with "pairs" [P, 2] and "verbs" [P], all that the arrows do.

    Raises:
        UsageError: The size is too small.
    """
    if min(size) < SMALLEST:
        raise UsageError(f"interactions: size {size[0]}x{size[1]} is too small; expected at least {SMALLEST} each.")
    scene = scene or Scene()
    ground, things, grain = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    image = textured_ground(ground, size, scene.texture, 2)
    stage = _Stage(things, size, scene)
    _fill(stage)
    owners = np.zeros((size[0] * SAMPLES, size[1] * SAMPLES), np.uint8)
    for number, thing in enumerate(stage.things, start=1):
        region = region_of(thing.box, size)
        mask = rasterise(list(thing.curves), region)
        owners[tuple(slice(part.start * SAMPLES, part.stop * SAMPLES) for part in region)][mask > 0] = number
        color = standing_out(colors_of(things, thing.kind, 1.0), image[region], scene.contrast)
        paint(image[region], mask, color, things.uniform(-25, 25, 2))
    if scene.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * scene.noise)
    boxes = [visible_box(owners, number) for number in range(1, len(stage.things) + 1)]
    pairs = np.array(stage.pairs(), np.int64).reshape(-1, 3)
    return {
        "source": np.clip(image + 0.5, 0, 255).astype(np.uint8),
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "classes": np.array([thing.kind for thing in stage.things], np.int64),
        "rows": {"pairs": pairs[:, :2], "verbs": pairs[:, 2]},
    }


def read(
    count: int,
    size: tuple[int, int] = (128, 128),
    *,
    seed: int = 0,
    split: str = "train",
    scene: Scene | None = None,
) -> Split:
    """A split of drawn images; arguments as those of `shapes.read`.

    Returns:
        Names of the classes, the items in ascending order, and the property interactions.

    Raises:
        UsageError: There would be no images, the seed is negative, or the size is too small.
    """
    scene = scene or Scene()
    items = DrawnItems("interactions", count, seed, split, lambda numbers: draw_interactions(numbers, size, scene))
    draw_interactions((seed, 0), size, Scene(arrows=(0, 0), strays=0))  # complains of the size before writing starts
    allowed = {verb: (FRAME,) if verb == "inside" else CLASSES[1:-1] for verb in VERBS}
    return Split(CLASSES, items, (Interactions(verbs=VERBS, allowed=allowed),))
