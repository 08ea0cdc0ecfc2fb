"""Which detection belongs to which object, as KITTI's devkit decides it, for many score thresholds at the same time.

The devkit goes through the objects of an image in file order; each takes one of the detections that overlap it enough
and that no object before it took. All images go side by side here: first every image's first object, then every
second.
"""

from dataclasses import dataclass

import numpy as np

LEVELS = 41  # recalls 0, 1/40, ..., 1
# What an object or a detection is: it counts, it is neither praised nor blamed, it does not take part.
COUNTS, IGNORED, ABSENT = 0, 1, -1


@dataclass(frozen=True)
class Case:
    """One class at one difficulty in one sense of IoU.

    Attributes:
        images: [G] image of each annotated object, ascending.
        objects: [G] COUNTS, IGNORED or ABSENT.
        detections: [D] likewise.
        scores: [D].
        first: [P] annotated object of each pair that overlaps enough, ascending; none ABSENT.
        second: [P] found object; none ABSENT.
        ious: [P].
        stuff: [D] bool, the detection lies where nothing was labelled.
        turns: [P] cosine of the difference of the observation angles.
    """

    images: np.ndarray
    objects: np.ndarray
    detections: np.ndarray
    scores: np.ndarray
    first: np.ndarray
    second: np.ndarray
    ious: np.ndarray
    stuff: np.ndarray
    turns: np.ndarray


def curve(case: Case, devkit: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Precision, and similarity of orientation, at 41 levels of recall, made falling.

    Args:
        case: What overlaps what.
        devkit: See `thresholds`.

    Returns:
        [41] and [41], 0 beyond the recall that is reached; NaN without objects that count.
    """
    count = int((case.objects == COUNTS).sum())
    if not count:
        return np.full(LEVELS, np.nan), np.full(LEVELS, np.nan)
    open_to_all = np.ones((len(case.scores), 1), bool)
    rows, pair = _assign(case, case.scores[case.second], open_to_all)
    hits = _hits(case, rows, pair)
    levels = thresholds(case.scores[case.second[pair[hits]]], count, devkit)
    active = case.scores[:, None] >= levels
    # Detections too small for the difficulty come last, in file order.
    last = case.detections[case.second] == IGNORED
    rows, pair = _assign(case, np.where(last, -1.0, case.ious), active)
    hits = _hits(case, rows, pair)
    found = hits.sum(axis=0)
    wrong = active[(case.detections == COUNTS) & ~case.stuff].sum(axis=0)
    similar = np.where(hits, (1 + case.turns[pair]) / 2, 0).sum(axis=0) if len(rows) else np.zeros(len(levels))
    results = []
    for values in (found, similar):
        kept = np.zeros(LEVELS)
        np.divide(values, found + wrong, out=kept[: len(levels)], where=found + wrong > 0)
        results.append(np.maximum.accumulate(kept[::-1])[::-1])
    return results[0], results[1]


def thresholds(scores: np.ndarray, count: int, devkit: bool = False) -> np.ndarray:
    """Scores at which recall is nearest to 0, 1/40, ..., 1, as far as it gets.

    The devkit takes each score once. With 60 objects or fewer it so runs out of scores, and even perfect results get
    less than 100; here a score may serve several levels, which changes nothing for more objects.

    Args:
        scores: [K] of the objects that were found, in any order.
        count: Objects that could have been found.
        devkit: Take each score once in any case.

    Returns:
        [at most 41] falling scores.
    """
    kept: list[float] = []
    level, step = 0.0, 1 / (LEVELS - 1)  # added up as the devkit does: its rounding decides between equally near scores
    ordered = np.sort(scores)[::-1]
    for index, score in enumerate(ordered.tolist()):
        left = (index + 1) / count
        last = index == len(ordered) - 1
        right = left if last else (index + 2) / count
        if right - level < level - left and not last:
            continue
        kept.append(score)
        level += step
        while not devkit and len(kept) < LEVELS and right - level >= level - left - 1e-9:
            kept.append(score)
            level += step
    return np.array(kept[:LEVELS])


def _hits(case: Case, rows: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """[R, T] bool: objects that count and took a detection that counts."""
    counts = (case.objects[rows] == COUNTS)[:, None]
    return counts & (pair >= 0) & (case.detections[case.second[pair]] == COUNTS if len(rows) else False)


def _assign(case: Case, worth: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives each object the detection worth most, the first of several.

    Args:
        case: What overlaps what.
        worth: [P] of each pair.
        active: [D, T] bool, which detections are there at each threshold; those taken are removed in place.

    Returns:
        The R objects that overlap any detection, and [R, T] the pair that each took, -1 for none.
    """
    rows, starts, counts = np.unique(case.first, return_index=True, return_counts=True)
    taken = np.full((len(rows), active.shape[1]), -1)
    if not len(rows):
        return rows, taken
    slots = np.arange(counts.max())
    there = slots < counts[:, None]
    pairs = np.where(there, starts[:, None] + slots, 0)
    worth = np.where(there, worth[pairs], -np.inf)
    images = case.images[rows]
    turn = np.arange(len(rows)) - np.searchsorted(images, images)
    for step in range(turn.max() + 1):
        now = np.flatnonzero(turn == step)
        now_pairs = pairs[now, : counts[now].max()]
        possible = active[case.second[now_pairs]] & there[now, : now_pairs.shape[1], None]
        best = np.where(possible, worth[now, : now_pairs.shape[1], None], -np.inf).argmax(axis=1)  # [M, T]
        picked = np.where(possible.any(axis=1), np.take_along_axis(now_pairs, best, axis=1), -1)
        taken[now] = picked
        row, column = np.nonzero(picked >= 0)
        active[case.second[picked[row, column]], column] = False
    return rows, taken
