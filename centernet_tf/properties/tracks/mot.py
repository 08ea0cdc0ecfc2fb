"""Scores of identities over time, of one video: CLEAR MOT, identity F1 and HOTA, by the rules of TrackEval.

Every measure takes frames in order, in which truth and tracks carry consecutive numbers, and gives sums: those of
several videos together are what `scores` needs for all of them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from centernet_tf.geometry.assignment import best_pairs

IOU = 0.5  # CLEAR and identity F1 match above it
IOUS = np.arange(5, 100, 5) / 100  # HOTA is a mean over these
_EPSILON = np.finfo(float).eps  # a computed IoU of exactly the threshold matches


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        truth: [G] int, numbers of the annotated identities from 0, no two the same.
        tracks: [T] int, numbers of the tracks from 0, no two the same.
        iou: [G, T] of their boxes.
    """

    truth: np.ndarray
    tracks: np.ndarray
    iou: np.ndarray


@dataclasses.dataclass(frozen=True)
class Clear:
    """Sums of CLEAR MOT (Bernardin and Stiefelhagen, 2008).

    Attributes:
        matches: Objects that a track covers.
        misses: Objects that none covers.
        false: Boxes of tracks that cover none.
        switches: Objects covered by another track than when they were last covered.
        iou: Sum over the matches.
        mostly: Identities that are covered in more than 80 % of their frames.
        partly: Covered in 20 to 80 %.
        lost: Covered in fewer.
        fragments: How often an identity is covered again after it was not.
    """

    matches: int = 0
    misses: int = 0
    false: int = 0
    switches: int = 0
    iou: float = 0.0
    mostly: int = 0
    partly: int = 0
    lost: int = 0
    fragments: int = 0

    def __add__(self, other: "Clear") -> "Clear":
        return Clear(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

    @property
    def mota(self) -> float:
        """1 - (misses + false alarms + switches) / objects, which may be below 0; NaN without objects."""
        objects = self.matches + self.misses
        return (self.matches - self.false - self.switches) / objects if objects else float("nan")

    @property
    def motp(self) -> float:
        """Mean IoU of the matches; NaN without any."""
        return self.iou / self.matches if self.matches else float("nan")


@dataclasses.dataclass(frozen=True)
class Identity:
    """Sums of identity F1 (Ristani et al., 2016): the best pairing of whole identities with whole tracks.

    Attributes:
        right: Boxes of pairs that overlap.
        misses: Objects without.
        false: Boxes of tracks without.
    """

    right: int = 0
    misses: int = 0
    false: int = 0

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(self.right + other.right, self.misses + other.misses, self.false + other.false)

    @property
    def f1(self) -> float:
        """2 right / (objects + boxes); NaN without either."""
        total = 2 * self.right + self.misses + self.false
        return 2 * self.right / total if total else float("nan")


@dataclasses.dataclass(frozen=True, eq=False)
class Hota:
    """Sums of HOTA (Luiten et al., 2021), a number for each of `IOUS`.

    Attributes:
        matches: [19] objects that a track covers.
        misses: [19].
        false: [19].
        associated: [19] sum over the matches of how far their identity and their track are one: the frames in which
            both match, over those in which either is.
        iou: [19] sum over the matches.
    """

    matches: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(IOUS)))
    misses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(IOUS)))
    false: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(IOUS)))
    associated: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(IOUS)))
    iou: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(IOUS)))

    def __add__(self, other: "Hota") -> "Hota":
        names = [field.name for field in dataclasses.fields(self)]
        return Hota(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def detection(self) -> np.ndarray:
        """[19] DetA: matches over matches, misses and false alarms."""
        return self.matches / np.maximum(self.matches + self.misses + self.false, 1)

    @property
    def association(self) -> np.ndarray:
        """[19] AssA: mean of `associated` over the matches."""
        return self.associated / np.maximum(self.matches, 1)

    @property
    def hota(self) -> np.ndarray:
        """[19] geometric mean of both; the published figure is the mean of these."""
        return np.sqrt(self.detection * self.association)

    @property
    def location(self) -> np.ndarray:
        """[19] LocA: mean IoU of the matches, 1 without any."""
        return np.where(self.matches > 0, self.iou / np.maximum(self.matches, 1), 1.0)


def clear(frames: Sequence[Frame]) -> Clear:
    """CLEAR MOT of one video. What matched in the frame before goes on to match while it overlaps enough."""
    identities = _count(frame.truth for frame in frames)
    seen, covered, runs = (np.zeros(identities, int) for _ in range(3))
    before = np.full(identities, -1)  # the track in the frame before
    last = np.full(identities, -1)  # the track when it was last covered
    false, switches, overlap = 0, 0, 0.0
    for frame in frames:
        seen[frame.truth] += 1
        enough = frame.iou >= IOU - _EPSILON
        worth = np.where(enough, frame.iou + 1000.0 * (before[frame.truth][:, None] == frame.tracks[None]), 0)
        rows, columns = _matched(worth)
        objects, tracks = frame.truth[rows], frame.tracks[columns]
        switches += int(((last[objects] >= 0) & (last[objects] != tracks)).sum())
        runs[objects[before[objects] < 0]] += 1
        before[:] = -1
        before[objects] = last[objects] = tracks
        covered[objects] += 1
        false += len(frame.tracks) - len(rows)
        overlap += float(frame.iou[rows, columns].sum())
    part = covered[seen > 0] / seen[seen > 0]
    mostly, lost = int((part > 0.8).sum()), int((part < 0.2).sum())
    matches = int(covered.sum())
    return Clear(
        matches,
        int(seen.sum()) - matches,
        false,
        switches,
        overlap,
        mostly,
        len(part) - mostly - lost,
        lost,
        int(np.maximum(runs - 1, 0).sum()),
    )


def identity(frames: Sequence[Frame]) -> Identity:
    """Identity F1 of one video."""
    objects, boxes = _count(frame.truth for frame in frames), _count(frame.tracks for frame in frames)
    together = np.zeros((objects, boxes), int)
    for frame in frames:
        rows, columns = np.nonzero(frame.iou >= IOU)
        np.add.at(together, (frame.truth[rows], frame.tracks[columns]), 1)
    rows, columns = best_pairs(together, maximize=True)
    right = int(together[rows, columns].sum())
    return Identity(
        right, sum(len(frame.truth) for frame in frames) - right, sum(len(frame.tracks) for frame in frames) - right
    )


def hota(frames: Sequence[Frame]) -> Hota:
    """HOTA of one video. Frames are matched so that identities and tracks which go together in all of it do."""
    lives, lengths = _lengths(frame.truth for frame in frames), _lengths(frame.tracks for frame in frames)
    together = np.zeros((len(lives), len(lengths)))
    for frame in frames:
        both = frame.iou.sum(axis=1, keepdims=True) + frame.iou.sum(axis=0, keepdims=True) - frame.iou
        share = np.divide(frame.iou, both, out=np.zeros_like(both), where=both > _EPSILON)
        np.add.at(together, np.ix_(frame.truth, frame.tracks), share)
    either = lives[:, None] + lengths[None] - together
    alike = np.divide(together, either, out=np.zeros_like(together), where=either > 0)
    counts = np.zeros((len(IOUS), *together.shape))
    overlap = np.zeros(len(IOUS))
    for frame in frames:
        rows, columns = best_pairs(alike[np.ix_(frame.truth, frame.tracks)] * frame.iou, maximize=True)
        matched = frame.iou[rows, columns] >= IOUS[:, None] - _EPSILON
        for level, chosen in enumerate(matched):
            counts[level, frame.truth[rows[chosen]], frame.tracks[columns[chosen]]] += 1
        overlap += (frame.iou[rows, columns] * matched).sum(axis=1)
    matches = counts.sum(axis=(1, 2))
    associated = (counts**2 / np.maximum(lives[:, None] + lengths[None] - counts, 1)).sum(axis=(1, 2))
    return Hota(matches, lives.sum() - matches, lengths.sum() - matches, associated, overlap)


def _matched(worth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the most valuable pairing, without pairs that are worth nothing."""
    rows, columns = best_pairs(worth, maximize=True)
    kept = worth[rows, columns] > _EPSILON
    return rows[kept], columns[kept]


def _count(numbers: Sequence[np.ndarray]) -> int:
    return max((int(part.max()) + 1 for part in numbers if len(part)), default=0)


def _lengths(numbers: Sequence[np.ndarray]) -> np.ndarray:
    """In how many frames each number is."""
    parts = [np.zeros(0, int), *numbers]
    return np.bincount(np.concatenate(parts)).astype(float)
