"""What drawn arrows do to drawn shapes: touch them, lie inside, stand above, point at them; or nobody could tell.

Rules leave room between yes and no, and scenes in which any answer falls into it are not drawn, so that everything that
can be said of a picture is annotated and nothing in it is a matter of taste.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np

from centernet_tf.datasets.drawn.shapes import OUTLINES

VERBS = ("touch", "inside", "above", "point_at")
ARROW, FRAME = "arrow", "frame"
CLASSES = (ARROW, "circle", "rectangle", "star", "cross", FRAME)
STEP = 1.5  # pixels between the points of an edge
TOUCHING = 1.0  # pixels; edges that are nearer touch
OVERLAPPING = 1.0  # pixels; what reaches further into another overlaps it

_ARROW = np.array([[-0.5, -0.1], [0.1, -0.1], [0.1, -0.3], [0.5, 0], [0.1, 0.3], [0.1, 0.1], [-0.5, 0.1]])
_HOLE = 0.72  # of a frame, of its side

State = Literal["yes", "no", "unclear"]


@dataclasses.dataclass(frozen=True, eq=False)
class Thing:
    """Something drawn.

    Attributes:
        kind: Its place in `CLASSES`.
        curves: Closed curves [P, 2] (x, y) in pixels; a second one is a hole.
        angle: Where it points to, in radians from the right over down; of arrows.
        edge: [E, 2] points along the curves.
        box: [4] left, top, right, bottom in pixels.
        center: [2] of the box.
        radius: Largest distance of the edge from the center.
    """

    kind: int
    curves: tuple[np.ndarray, ...]
    angle: float
    edge: np.ndarray
    box: np.ndarray
    center: np.ndarray
    radius: float

    @classmethod
    def at(cls, kind: int, center: np.ndarray, size: float, angle: float) -> "Thing":
        """A thing around a place.

        Args:
            kind: Its place in `CLASSES`.
            center: x, y in pixels.
            size: Length of an arrow, half of the longer side of anything else, in pixels before it is turned.
            angle: By which it is turned, in radians; frames stand upright.
        """
        name = CLASSES[kind]
        outline = OUTLINES["rectangle"][0]
        shapes = {ARROW: (_ARROW,), FRAME: (outline, outline * _HOLE)}.get(name) or OUTLINES[name]
        turned = 0.0 if name == FRAME else angle
        turn = np.array([[math.cos(turned), math.sin(turned)], [-math.sin(turned), math.cos(turned)]])
        curves = tuple(np.asarray(center, float) + size * (curve @ turn) for curve in shapes)
        low, high = curves[0].min(axis=0), curves[0].max(axis=0)
        middle, edge = (low + high) / 2, np.concatenate([_along(curve) for curve in curves])
        radius = float(np.hypot(*(edge - middle).T).max())
        return cls(kind, curves, angle, edge, np.concatenate([low, high]), middle, radius)

    @property
    def is_arrow(self) -> bool:
        """Whether it may do something."""
        return CLASSES[self.kind] == ARROW

    @property
    def tip(self) -> np.ndarray:
        """Foremost point of an arrow, x, y."""
        return self.curves[0][3]

    @property
    def direction(self) -> np.ndarray:
        """Unit vector along an arrow."""
        return np.array([math.cos(self.angle), math.sin(self.angle)])


def _along(curve: np.ndarray) -> np.ndarray:
    """Points along a closed curve, at most `STEP` apart."""
    ways = np.roll(curve, -1, axis=0) - curve
    counts = np.maximum(np.ceil(np.hypot(*ways.T) / STEP).astype(int), 1)
    part = np.repeat(np.arange(len(curve)), counts)
    place = np.arange(len(part)) - np.repeat(np.cumsum(counts) - counts, counts)
    return curve[part] + ways[part] * (place / counts[part])[:, None]


def gap(first: Thing, second: Thing, enough: float = math.inf) -> float:
    """Smallest distance of two edges in pixels; where it is at least `enough`, any number that is."""
    between = np.maximum(np.maximum(first.box[:2] - second.box[2:], second.box[:2] - first.box[2:]), 0)
    if (least := math.hypot(*between)) >= enough:
        return least
    apart = first.edge[:, None] - second.edge[None]
    return math.sqrt(float((apart * apart).sum(axis=-1).min()))


def clear_gap(side: float) -> float:
    """Pixels from which on two edges are seen not to touch, in an image of this shorter side."""
    return max(3.0, 0.03 * side)


def overlap(first: Thing, second: Thing) -> bool:
    """Whether one covers a part of the other; a hole covers nothing."""
    return any(
        _depth(one, other) > OVERLAPPING for one, other in ((first, second), (second, first)) if _near(one, other)
    )


def _near(one: Thing, other: Thing) -> bool:
    return bool((one.box[:2] < other.box[2:]).all() and (other.box[:2] < one.box[2:]).all())


def _depth(one: Thing, other: Thing) -> float:
    """How far the edge of one reaches into another."""
    outer, *holes = [np.round(curve, 3).astype(np.float32) for curve in other.curves]
    deepest = -math.inf
    for x, y in one.edge:
        inside = cv2.pointPolygonTest(outer, (float(x), float(y)), True)
        in_hole = max((cv2.pointPolygonTest(hole, (float(x), float(y)), True) for hole in holes), default=-math.inf)
        deepest = max(deepest, min(inside, -in_hole))
    return deepest


class Facts(NamedTuple):
    """What is between an arrow and another thing.

    Attributes:
        inside: Whether the arrow lies in its hole.
        touch: Whether they touch.
        above: Whether the arrow stands above it, and how far, in pixels.
        height: That distance.
        hit: Whether the arrow points at it, if nothing is before it.
        way: How far it is from the tip, in pixels.
    """

    inside: bool
    touch: State
    above: State
    height: float
    hit: State
    way: float


def facts(arrow: Thing, other: Thing, side: float) -> Facts:
    """Measures an arrow and another thing that do not overlap, in an image of this shorter side."""
    far = clear_gap(side)
    apart = gap(arrow, other, far)
    inside = CLASSES[other.kind] == FRAME and bool(
        (arrow.box[:2] > other.curves[1].min(axis=0)).all() and (arrow.box[2:] < other.curves[1].max(axis=0)).all()
    )
    touch: State = "yes" if apart <= TOUCHING else "no" if apart >= far else "unclear"
    height = float(other.box[1] - arrow.box[3])
    way = other.center - arrow.tip
    along = float(way @ arrow.direction)
    beside = abs(float(way[0] * arrow.direction[1] - way[1] * arrow.direction[0]))
    return Facts(inside, touch, _above(arrow, other, height, side), height, _hit(other, along, beside, side), along)


def _above(arrow: Thing, other: Thing, height: float, side: float) -> State:
    """Straight over it, and neither touching nor far away."""
    beside, width = abs(arrow.center[0] - other.center[0]), other.box[2] - other.box[0]
    if height < -0.02 * side or height > 0.5 * side or beside > 0.6 * width + 0.06 * side:
        return "no"
    if 0.04 * side <= height <= 0.32 * side and beside <= 0.3 * width:
        return "yes"
    return "no" if height < TOUCHING + 0.5 else "unclear"


def _hit(other: Thing, along: float, beside: float, side: float) -> State:
    """On the line that the arrow makes, and not too far away."""
    if along < 0 or along > 0.8 * side or beside > 1.2 * other.radius + 0.03 * side:
        return "no"
    return "yes" if along <= 0.6 * side and beside <= 0.45 * other.radius else "unclear"


class UnclearError(Exception):
    """Nobody could tell what an arrow does."""


def relations(others: Sequence[tuple[Thing, Facts]]) -> list[tuple[int, str]]:
    """What an arrow does.

    Args:
        others: All other things, arrows too, and what is between it and each of them.

    Returns:
        Places in `others`, and verbs. Arrows are not touched, pointed at and so on, and of frames there is only the
        inside: scenes with anything else are unclear. An arrow in a frame does nothing else.

    Raises:
        UnclearError: It may be one thing or another.
    """
    for place, (_, one) in enumerate(others):
        if one.inside:
            if any(fact.touch != "no" for _, fact in others):
                raise UnclearError
            return [(place, "inside")]
    if any(fact.touch == "unclear" or (thing.is_arrow and fact.touch != "no") for thing, fact in others):
        raise UnclearError
    done = [(place, "touch") for place, (_, fact) in enumerate(others) if fact.touch == "yes"]
    for verb, state, distance in (("above", "above", "height"), ("point_at", "hit", "way")):
        open_ = [
            (getattr(fact, distance), place) for place, (_, fact) in enumerate(others) if getattr(fact, state) != "no"
        ]
        if open_:
            first = min(open_)[1]
            thing, fact = others[first]
            if thing.is_arrow or getattr(fact, state) == "unclear":
                raise UnclearError
            done.append((first, verb))
    if any(CLASSES[others[place][0].kind] == FRAME for place, _ in done):
        raise UnclearError
    return done
