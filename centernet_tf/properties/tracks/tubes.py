"""Tubes: an object that does one thing, in all frames that it does it in. Where they overlap in space and time.

A tube is the longest run of frames that follow one another in which an identity has the same class. Overlaps are the
official code's of "Actions as Moving Points" (Li et al., 2020), which are those of Kalogeiton et al., 2017.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from centernet_tf.geometry.boxes import paired_iou
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks.tubelets import PIXEL

MIN_SCORE = 0.005  # below it the original leaves a tube out
SAME = 0.3  # two tubes of a class with a larger overlap are one
SCORE = "tube_scores"  # of rows: what is known so far of the tube's score


@dataclasses.dataclass(frozen=True, eq=False)
class Tube:
    """One object doing one thing.

    Attributes:
        label: Number of the class.
        score: Of the whole.
        frames: [L] int64, numbers of its frames in the video, each one more than that before.
        boxes: [L, 4] float32 left, top, right, bottom in pixels of the image.
        scores: [L] float32, of each frame.
        track_id: Whose tube it is; -1 where nobody says.
    """

    label: int
    score: float
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    track_id: int = -1

    def as_dict(self, names: Sequence[str], digits: int | None = None) -> dict[str, Any]:
        """Ready for JSON: "label", "score", "track_id", "start" (its first frame), and of each frame "frames", its
        number, "boxes" and "scores".

        Args:
            names: Of the classes.
            digits: Decimals that numbers are rounded to; None keeps them.
        """
        values = {"score": np.float64(self.score), "boxes": self.boxes, "scores": self.scores}
        told = {
            name: (value if digits is None else np.round(np.float64(value), digits)).tolist()
            for name, value in values.items()
        }
        whose = {"label": names[self.label], "score": told.pop("score"), "track_id": self.track_id}
        return {**whose, "start": int(self.frames[0]), "frames": self.frames.tolist(), **told}


class TubeBook:
    """Gathers the tubes of one video from the objects of its frames."""

    def __init__(self) -> None:
        self._frames: list[tuple[int, Rows]] = []

    def add(self, frame: int, rows: Rows) -> None:
        """Takes in a frame; they may come in any order.

        Args:
            frame: Its number in the video.
            rows: "track_ids" [N], -1 for objects that are of no tube, "classes" [N], "boxes" [N, 4]; where found, also
                "scores" [N], and "tube_scores" [N], of which that of a tube's last frame counts.
        """
        known = np.asarray(rows["track_ids"]) >= 0
        if known.any():
            kept = ("track_ids", "classes", "boxes", "scores", SCORE)
            self._frames.append((frame, {name: np.asarray(rows[name])[known] for name in kept if name in rows}))

    def tubes(self, min_score: float = -np.inf) -> list[Tube]:
        """All tubes that score as much, by identity and time. Without "tube_scores" the mean of the frames counts."""
        if not self._frames:
            return []
        frames = np.concatenate([np.full(len(rows["track_ids"]), frame, np.int64) for frame, rows in self._frames])
        ids, classes = (self._column(name).astype(np.int64) for name in ("track_ids", "classes"))
        boxes = self._column("boxes").astype(np.float32)
        scores = self._column("scores", np.ones(len(ids))).astype(np.float32)
        whole = self._column(SCORE, np.full(len(ids), np.nan))
        order = np.lexsort((frames, ids))
        breaks = np.flatnonzero(
            (np.diff(ids[order]) != 0) | (np.diff(classes[order]) != 0) | (np.diff(frames[order]) != 1)
        )
        found = []
        for rows in np.split(order, breaks + 1):
            last = float(whole[rows[-1]])
            score = float(scores[rows].mean()) if np.isnan(last) else last
            found.append(Tube(int(classes[rows[0]]), score, frames[rows], boxes[rows], scores[rows], int(ids[rows[0]])))
        return [tube for tube in found if tube.score >= min_score]

    def _column(self, name: str, usual: np.ndarray | None = None) -> np.ndarray:
        if usual is not None and not all(name in rows for _, rows in self._frames):
            return usual
        return np.concatenate([rows[name] for _, rows in self._frames])


def tube_iou(first: Sequence[Tube], second: Sequence[Tube], spatial_only: bool = False) -> np.ndarray:
    """Overlap of tubes in space and time, of every pair.

    The frames of both, divided by those of either, times the mean IoU of the boxes in the frames of both.

    Args:
        first: N tubes.
        second: M tubes of the same video.
        spatial_only: Leave out the first factor.

    Returns:
        [N, M] float64 in 0..1.
    """
    overlaps = np.zeros((len(first), len(second)))
    if not overlaps.size:
        return overlaps
    starts, ends = (np.array([tube.frames[place] for tube in second]) for place in (0, -1))
    owners = np.repeat(np.arange(len(second)), [len(tube.frames) for tube in second])
    frames = np.concatenate([tube.frames for tube in second])
    boxes = np.concatenate([tube.boxes for tube in second])
    for row, tube in enumerate(first):
        start, end = tube.frames[0], tube.frames[-1]
        both = np.flatnonzero((frames >= start) & (frames <= end))
        iou = paired_iou(tube.boxes[frames[both] - start], boxes[both], PIXEL)
        shared = np.bincount(owners[both], minlength=len(second))
        mean = np.bincount(owners[both], iou, len(second)) / np.maximum(shared, 1)
        either = np.maximum(ends, end) - np.minimum(starts, start) + 1
        overlaps[row] = mean if spatial_only else mean * shared / either
    return overlaps


def distinct(tubes: Sequence[Tube], overlap: float = SAME) -> list[int]:
    """Which of some tubes of one class and video are left where a better one covers them, the best first.

    Args:
        tubes: Any number.
        overlap: Above this `tube_iou` two are one.
    """
    order = sorted(range(len(tubes)), key=lambda place: -tubes[place].score)
    kept = []
    while order:
        best, *rest = order
        kept.append(best)
        covered = tube_iou([tubes[best]], [tubes[place] for place in rest])[0] > overlap
        order = [place for place, out in zip(rest, covered) if not out]
    return kept


def whole_windows(spans: Iterable[tuple[int, int]], frames: int, length: int = 7) -> np.ndarray:
    """First frames of the windows of a video that can be trained on.

    Every tube is in all frames of such a window or in none of them, and at least one is.

    Args:
        spans: First and last frame of each tube, from 1.
        frames: Of the video.
        length: Frames of a window.

    Returns:
        [W] int64, from 1, ascending; none where the video is shorter than a window.
    """
    starts = np.arange(1, max(frames - length + 1, 0) + 1)
    partly, wholly = np.zeros(len(starts), bool), np.zeros(len(starts), bool)
    for first, last in spans:
        inside = (starts >= first) & (starts + length - 1 <= last)
        partly |= (starts <= last) & (starts + length - 1 >= first) & ~inside
        wholly |= inside
    return starts[wholly & ~partly]
