"""Who is who from frame to frame: each object goes back to where it was, and takes the identity of who was there.

Tracking Objects as Points (Zhou et al., 2020), section 4.3, and the official code's `Tracker`. All are pure functions
in NumPy of a memory and of what was found; `graph` does the same inside a graph.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.geometry.assignment import best_pairs

_FAR = np.float32(1e18)  # stands for pairs that are forbidden; SciPy takes no infinity


@dataclasses.dataclass(frozen=True)
class Rules:
    """When an object is someone who was there before.

    Attributes:
        birth: Objects that nobody was before become someone new above this score.
        max_age: Frames after which someone who is not seen is forgotten; with K, K - 1 frames may be missed. Below 2,
            who is missed once is forgotten.
        hungarian: Match all at once for the smallest sum of distances instead of the surest object first.
    """

    birth: float = 0.3
    max_age: int = -1
    hungarian: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Everyone who is known, in the order in which they were last matched, born and missed.

    Attributes:
        ids: [M] int64, from 1.
        boxes: [M, 4] float32 left, top, right, bottom in pixels, where they were last seen.
        points: [M, 2] float32 x, y of their cells' corners.
        classes: [M] int64.
        scores: [M] float32.
        age: [M] int64, frames since they were seen, 1 for those of the last frame.
        active: [M] int64, frames in a row in which they were seen, 0 for those who are missing.
        next_id: The number of the next one to be born.
    """

    ids: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    age: np.ndarray
    active: np.ndarray
    next_id: int = 1

    @classmethod
    def empty(cls) -> "Memory":
        """Of a video that begins."""
        whole, real = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
        return cls(whole, real, real[:, :2], whole, real[:, 0], whole, whole)

    @classmethod
    def of(cls, boxes: np.ndarray, scores: np.ndarray, birth: float) -> "Memory":
        """Of a video whose first objects another detector knows (official code, `Tracker.init_track`).

        Args:
            boxes: [P, 4] left, top, right, bottom in pixels, all of class 0.
            scores: [P]; those up to `birth` are left out.
            birth: See `Rules`.
        """
        kept = np.asarray(boxes, np.float32)[scores > birth]
        ones = np.ones(len(kept), np.int64)
        middles = (kept[:, :2] + kept[:, 2:]) / 2
        known = np.asarray(scores, np.float32)[scores > birth]
        return cls(np.cumsum(ones), kept, middles, 0 * ones, known, ones, ones, len(kept) + 1)


def step(
    found: Mapping[str, Any], memory: Memory, rules: Rules, public: np.ndarray | None = None
) -> tuple[np.ndarray, Memory]:
    """Gives the objects of one frame their identities.

    Args:
        found: "boxes" [N, 4], "scores" [N], "classes" [N], "points" [N, 2] corners of their cells, "displacements"
            [N, 2] from there to where each was in the frame before; all in pixels of the image. Objects come in the
            order in which they may choose, best score first.
        memory: What the last step returned.
        rules: When an object is someone who was there before.
        public: [P, 2] centres of boxes of another detector: only objects close to one of them are born.

    Returns:
        [N] int64 identities, 0 for objects that are nobody; and the new memory.
    """
    boxes, points = np.asarray(found["boxes"], np.float32), np.asarray(found["points"], np.float32)
    scores, classes = np.asarray(found["scores"], np.float32), np.asarray(found["classes"], np.int64)
    before = points + np.asarray(found["displacements"], np.float32)
    cost = _distances(before, memory.points)
    allowed = classes[:, None] == memory.classes[None]
    allowed &= (cost <= _areas(boxes)[:, None]) & (cost <= _areas(memory.boxes)[None])
    match = (_best_sum if rules.hungarian else _nearest_first)(np.where(allowed, cost, _FAR))
    born = (match < 0) & (scores > rules.birth)
    if public is not None:
        born &= _near_public(before, match < 0, _areas(boxes), np.asarray(public, np.float32))
    ids = np.where(match >= 0, np.append(memory.ids, 0)[match], 0)
    ids[born] = memory.next_id + np.arange(born.sum())
    chosen = np.concatenate([np.flatnonzero(match >= 0), np.flatnonzero(born)])
    missed = np.setdiff1d(np.flatnonzero(memory.age < rules.max_age), match)
    streak = np.where(match >= 0, np.append(memory.active, 0)[match], 0) + 1
    return ids, Memory(
        np.concatenate([ids[chosen], memory.ids[missed]]),
        np.concatenate([boxes[chosen], memory.boxes[missed]]),
        np.concatenate([points[chosen], memory.points[missed]]),
        np.concatenate([classes[chosen], memory.classes[missed]]),
        np.concatenate([scores[chosen], memory.scores[missed]]),
        np.concatenate([np.ones(len(chosen), np.int64), memory.age[missed] + 1]),
        np.concatenate([streak[chosen], np.zeros(len(missed), np.int64)]),
        memory.next_id + int(born.sum()),
    )


def _nearest_first(cost: np.ndarray) -> np.ndarray:
    """[N] column of each row, -1 for none: row after row takes the nearest that is free."""
    match = np.full(len(cost), -1)
    if not cost.shape[1]:
        return match
    free = cost.copy()
    for row in np.flatnonzero((cost < _FAR).any(axis=1)):
        column = int(free[row].argmin())
        if free[row, column] < _FAR:
            match[row] = column
            free[:, column] = _FAR
    return match


def _best_sum(cost: np.ndarray) -> np.ndarray:
    """[N] column of each row, -1 for none: the smallest sum of distances."""
    match = np.full(len(cost), -1)
    rows, columns = best_pairs(cost)
    kept = cost[rows, columns] < _FAR
    match[rows[kept]] = columns[kept]
    return match


def _near_public(before: np.ndarray, free: np.ndarray, areas: np.ndarray, public: np.ndarray) -> np.ndarray:
    """[N] bool: who is the closest free object to a public box, whose distance is within its own size."""
    near, left = np.zeros(len(before), bool), free.copy()
    for center in public:
        distance = np.where(left, ((before - center) ** 2).sum(axis=1), _FAR)
        if len(distance) and distance[closest := int(distance.argmin())] < areas[closest]:
            near[closest], left[closest] = True, False
    return near


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M] squared, of every pair of points."""
    # A sum over an axis of two numbers costs NumPy three times as much as the addition.
    across, down = (first[:, None, axis] - second[None, :, axis] for axis in (0, 1))
    return across**2 + down**2


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
