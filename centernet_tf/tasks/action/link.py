"""Tubelets of a video linked to tubes, window after window, as they come.

"Actions as Moving Points" (Li et al., 2020) and the official code, rule by rule. There each window of K frames begins a
frame after the one before; a tubelet goes on a tube of its class where the boxes of the frames that both know overlap.
Pure functions in NumPy of a memory and of what was found. What is held does not grow with the length of a video.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import paired_iou
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks.tubelets import OVERLAP, PIXEL, Suppression, suppress
from centernet_tf.properties.tracks.tubes import MIN_SCORE, Tube, TubeBook
from centernet_tf.tasks.action.memory import UNDECIDED, Memory, Tubes, settled, tell


@dataclasses.dataclass(frozen=True)
class Rules:
    """When tubelets are one tube.

    Attributes:
        frames: K, of a window.
        suppression: What becomes of tubelets that show what a better one does, see `tubelets.suppress`. Only "hard"
            removes them; others may still go on a tube, as in the original.
        overlap: The overlap above which they do.
        most: Tubelets of a class and window that count, the best of them.
        link: A tubelet goes on a tube where they overlap at least so much, in the mean of the frames of both.
        min_length: Frames of the shortest tube.
    """

    frames: int = 7
    suppression: Suppression = "original"
    overlap: float = OVERLAP
    most: int = 10
    link: float = 0.5
    min_length: int = 15

    def __post_init__(self) -> None:
        if self.frames < 1 or self.most < 1:
            raise UsageError(f"frames is {self.frames} and most {self.most}; expected at least 1 each.")


def step(found: Mapping[str, Any], memory: Memory, rules: Rules) -> tuple[list[Rows], Memory]:
    """Takes in the window around the next frame of a video.

    Windows that reach beyond the video's first or last frame are left out, as in the original, so nothing is found in
    a video that is shorter than a window.

    Args:
        found: "tubelets" [N, K, 4] left, top, right, bottom in pixels of the image, the next frame's in column K // 2,
            "scores" [N] and "classes" [N].
        memory: What the last step returned.
        rules: When tubelets are one tube.

    Returns:
        The frames of which all tubes are sure to be long enough, in order, about `rules.min_length` behind: "boxes"
        [T, 4] float32, "scores" [T] float32, both means of the tubelets that show the frame, "classes" [T] int64,
        "track_ids" [T] int64 from 1, and "tube_scores" [T] float32, means of all tubelets of the tube so far, which at
        its last frame is the tube's score; and the new memory.

    Raises:
        UsageError: The tubelets are of another number of frames.
    """
    length = rules.frames
    window = _checked(found, length)
    memory = dataclasses.replace(memory, seen=memory.seen + 1)
    if memory.seen > length // 2:
        memory = dataclasses.replace(memory, waiting=(*memory.waiting, window))
    start = memory.seen - length + 1
    if start < 1:
        return [], memory
    window, *waiting = memory.waiting
    memory = _linked(window, start, dataclasses.replace(memory, waiting=tuple(waiting)), rules)
    unsure = memory.tubes.first[memory.tubes.ids == UNDECIDED]
    return tell(min(start, int(unsure.min(initial=start + 1)) - 1), memory)


def finish(memory: Memory, rules: Rules) -> list[Rows]:
    """The frames that were held back until the end, as `step` gives them: with these, every frame is told once."""
    sure = np.flatnonzero(memory.tubes.ids != UNDECIDED)
    memory = dataclasses.replace(memory, tubes=memory.tubes.rows(sure))
    for start in range(max(memory.seen - rules.frames + 2, 1), memory.seen + 1):
        memory = settled(start, memory)
    return tell(memory.seen, memory)[0]


def link(windows: Mapping[int, Rows], frames: int, rules: Rules, min_score: float = MIN_SCORE) -> list[Tube]:
    """The tubes of a whole video.

    Args:
        windows: {first frame, from 1: what was found in the window, as of `step`}; where one is missing, nothing was.
        frames: Of the video.
        rules: When tubelets are one tube.
        min_score: Tubes below it are left out.
    """
    book, memory, told = TubeBook(), Memory.empty(rules.frames), itertools.count(1)
    nothing = {"tubelets": np.zeros((0, rules.frames, 4)), "scores": np.zeros(0), "classes": np.zeros(0, np.int64)}
    for frame in range(1, frames + 2):
        if frame <= frames:
            rows, memory = step(windows.get(frame - rules.frames // 2, nothing), memory, rules)
        else:
            rows = finish(memory, rules)
        for one in rows:
            book.add(next(told), one)
    return book.tubes(min_score)


def _checked(found: Mapping[str, Any], length: int) -> Rows:
    scores, tubelets = np.asarray(found["scores"], np.float32), np.asarray(found["tubelets"], np.float32)
    if tubelets.shape != (len(scores), length, 4):
        raise UsageError(
            f"Tubelets have shape {tubelets.shape}; expected {(len(scores), length, 4)}: a box of each object in "
            f"{length} frames. Link them by rules of as many frames as the network sees."
        )
    return {"tubelets": tubelets, "scores": scores, "classes": np.asarray(found["classes"], np.int64)}


def _linked(window: Rows, start: int, memory: Memory, rules: Rules) -> Memory:
    """The memory once the tubelets of the window that begins at a frame are linked, and that frame is settled."""
    found = _best(window, rules)
    match = _match(found, start, memory.tubes, rules)
    tubes = _continued(memory.tubes, match, found, start)
    late = tubes.open & (match < 0) & (start - tubes.last >= rules.frames)
    # Who has ended without an identity is too short.
    kept = ~(late & (tubes.ids == UNDECIDED))
    tubes = dataclasses.replace(tubes, open=tubes.open & ~late).rows(kept)
    free = np.ones(len(found["scores"]), bool)
    free[match[match >= 0]] = False
    tubes = tubes.joined(_born({name: values[free] for name, values in found.items()}, start, memory.born))
    tubes = _named(tubes, memory.named, rules)
    born, named = memory.born + int(free.sum()), max(memory.named, int(tubes.ids.max(initial=0)))
    return settled(start, dataclasses.replace(memory, tubes=tubes, born=born, named=named))


def _best(window: Rows, rules: Rules) -> Rows:
    """The tubelets that count, best first."""
    scores = suppress(window["tubelets"], window["scores"], window["classes"], rules.overlap, rules.suppression)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > -np.inf]
    classes = window["classes"][order]
    by_class = np.argsort(classes, kind="stable")
    _, first, inverse = np.unique(classes[by_class], return_index=True, return_inverse=True)
    rank = np.empty(len(order), np.int64)
    rank[by_class] = np.arange(len(order)) - first[inverse]
    order = order[rank < rules.most]
    return {"tubelets": window["tubelets"][order], "scores": scores[order], "classes": window["classes"][order]}


def _match(found: Rows, start: int, tubes: Tubes, rules: Rules) -> np.ndarray:
    """[M] which tubelet each tube takes, -1 for none: the best tube first, of those that fit the best."""
    match = np.full(len(tubes.numbers), -1)
    rows, columns = np.nonzero((tubes.classes[:, None] == found["classes"][None]) & tubes.open[:, None])
    shared = np.maximum(rules.frames - (start - tubes.last), 1)  # frames of both; or the last beside the first
    known = np.where((start - tubes.last >= rules.frames)[:, None, None], tubes.end[:, None], tubes.ahead)
    iou = paired_iou(found["tubelets"][columns], known[rows], PIXEL)
    iou = np.where(np.arange(rules.frames) < shared[rows][:, None], iou, 0).sum(axis=1) / shared[rows]
    fit = iou >= rules.link
    rank = np.empty(len(match), np.int64)
    rank[np.argsort(-tubes.scores, kind="stable")] = np.arange(len(match))
    rows, columns = rows[fit], columns[fit]
    order = np.lexsort((columns, rank[rows]))
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist()):
        if match[row] < 0 and column not in taken:
            match[row] = column
            taken.add(column)
    return match


def _continued(tubes: Tubes, match: np.ndarray, found: Rows, start: int) -> Tubes:
    """The tubes with the tubelets that they take."""
    rows = np.flatnonzero(match >= 0)
    boxes, scores = found["tubelets"][match[rows]], found["scores"][match[rows]]
    new = {name: values.copy() for name, values in vars(tubes).items()}
    new["last"][rows] = start
    new["count"][rows] += 1
    new["total"][rows] += scores
    new["ahead"][rows], new["end"][rows] = boxes, boxes[:, -1]
    new["sums"][rows] += _with_scores(boxes, scores)
    new["cover"][rows] += 1
    return Tubes(**new)


def _born(found: Rows, start: int, born: int) -> Tubes:
    """A tube of each of these tubelets."""
    boxes, scores = found["tubelets"], found["scores"]
    count, length = boxes.shape[:2]
    starts, ones = np.full(count, start), np.ones(count, np.int64)
    return Tubes(
        numbers=born + np.arange(count),
        ids=ones * UNDECIDED,
        classes=found["classes"],
        first=starts,
        last=starts,
        count=ones,
        total=scores.astype(np.float64),
        open=ones > 0,
        ahead=boxes,
        end=boxes[:, -1],
        sums=_with_scores(boxes, scores),
        cover=np.ones((count, length), np.int64),
    )


def _named(tubes: Tubes, named: int, rules: Rules) -> Tubes:
    """The tubes with identities for those that are long enough by now."""
    sure = np.flatnonzero((tubes.ids == UNDECIDED) & (tubes.last + rules.frames - tubes.first >= rules.min_length))
    ids = tubes.ids.copy()
    ids[sure] = named + 1 + np.arange(len(sure))
    return dataclasses.replace(tubes, ids=ids)


def _with_scores(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """[N, K, 5] boxes, and behind each the score of its tubelet."""
    return np.concatenate([boxes, np.broadcast_to(scores[:, None, None], (*boxes.shape[:2], 1))], axis=2)
