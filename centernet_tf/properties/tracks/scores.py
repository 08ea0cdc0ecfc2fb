"""Scores of identities: MOTA, IDF1 and HOTA of each class and of all, over all videos."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.geometry.assignment import best_pairs
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks import mot


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """What the measures of several videos add up to."""

    clear: mot.Clear = dataclasses.field(default_factory=mot.Clear)
    identity: mot.Identity = dataclasses.field(default_factory=mot.Identity)
    hota: mot.Hota = dataclasses.field(default_factory=mot.Hota)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.clear + other.clear, self.identity + other.identity, self.hota + other.hota)

    def figures(self) -> dict[str, float]:
        """MOTA may be below 0; the others run from 0 to 1. NaN without objects."""
        objects = self.clear.matches + self.clear.misses
        hota, detection, association = (
            float(values.mean()) if objects else float("nan")
            for values in (self.hota.hota, self.hota.detection, self.hota.association)
        )
        shares = {"MOTA": self.clear.mota, "IDF1": self.identity.f1, "HOTA": hota, "DetA": detection}
        return {**shares, "AssA": association, "MOTP": self.clear.motp}

    def counts(self) -> dict[str, int]:
        """Whole numbers: what MOTA is made of, and how much of its life each identity is covered."""
        one = self.clear
        errors = {"misses": one.misses, "false": one.false, "switches": one.switches, "fragments": one.fragments}
        return {**errors, "mostly": one.mostly, "partly": one.partly, "lost": one.lost}


@dataclasses.dataclass(frozen=True)
class TrackScores(Score):
    """What is said of the identities.

    Attributes:
        names: Of the classes that are annotated or found.
        classes: Sums of each.
        videos: How many there are.
    """

    names: tuple[str, ...]
    classes: tuple[Sums, ...]
    videos: int

    @property
    def all(self) -> Sums:
        """Of all classes together, each object counted once."""
        return sum(self.classes, Sums())

    @property
    def main(self) -> dict[str, float]:
        return {"HOTA": self.all.figures()["HOTA"]}

    def tables(self) -> list[Table]:
        """A row for each class, and for all."""
        table = Table(title=f"Identities in {self.videos} videos, IoU 0.5 (HOTA: 0.05 to 0.95)")
        table.add_column("class")
        counted = {"FN": "misses", "FP": "false", "IDSW": "switches"}
        for name in (*Sums().figures(), *counted):
            table.add_column(name, justify="right")
        for name, one in (*zip(self.names, self.classes), ("all", self.all)):
            counts = one.counts()
            figures = map(percent, one.figures().values())
            table.add_row(name, *figures, *(str(counts[key]) for key in counted.values()))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "tracks": "videos", "summary" {score: value}, and "classes" [{name, score: value}]."""
        classes = [{"name": name, **_plain(one)} for name, one in zip(self.names, self.classes)]
        return {"tracks": {"videos": self.videos, "summary": _plain(self.all), "classes": classes}}


class TrackMetric(Metric):
    """Gathers frames and scores the identities by TrackEval's rules.

    Objects without identity, crowds and ignored ones are neither wanted nor background: what is found on them is left
    out. Classes are scored apart.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        # {(class, video): [(frame, identities, tracks, IoU)]}
        self._frames: dict[tuple[int, str], list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]] = defaultdict(list)
        self._videos: set[str] = set()

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        if "track_ids" not in found or not image.video:
            return
        self._videos.add(image.video)
        unwanted = truth["ignored"] | truth["crowd"] | (truth["track_ids"] < 0)
        for label in range(len(self._names)):
            ours = (found["classes"] == label) & (found["track_ids"] >= 0)
            theirs = (truth["classes"] == label) | (unwanted & (truth["classes"] < 0))
            iou = box_iou(truth["boxes"][theirs], found["boxes"][ours])
            left_out = unwanted[theirs]
            kept = ~_on_unwanted(iou, left_out)
            if (~left_out).any() or kept.any():
                identities, tracks = truth["track_ids"][theirs][~left_out], found["track_ids"][ours][kept]
                entry = image.frame, identities, tracks, iou[~left_out][:, kept]
                self._frames[label, image.video].append(entry)

    def result(self) -> TrackScores | None:
        if not self._videos:
            return None
        labels = sorted({label for label, _ in self._frames})
        sums = []
        for label in labels:
            videos = [entries for (one, _), entries in self._frames.items() if one == label]
            sums.append(sum((_score(entries) for entries in videos), Sums()))
        return TrackScores(tuple(self._names[label] for label in labels), tuple(sums), len(self._videos))


def _on_unwanted(iou: np.ndarray, unwanted: np.ndarray) -> np.ndarray:
    """[T] bool: tracks whose best partner is an unwanted object (MOT17's rule for distractors)."""
    rows, columns = best_pairs(np.where(iou >= mot.IOU - np.finfo(float).eps, iou, 0), maximize=True)
    paired = np.zeros(iou.shape[1], bool)
    paired[columns] = unwanted[rows] & (iou[rows, columns] >= mot.IOU - np.finfo(float).eps)
    return paired


def _score(entries: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> Sums:
    entries = sorted(entries, key=lambda entry: entry[0])
    identities, tracks = (np.unique(np.concatenate([entry[part] for entry in entries])) for part in (1, 2))
    frames = [mot.Frame(np.searchsorted(identities, a), np.searchsorted(tracks, b), iou) for _, a, b, iou in entries]
    return Sums(mot.clear(frames), mot.identity(frames), mot.hota(frames))


def _plain(one: Sums) -> dict[str, Any]:
    return {**{name: number(value) for name, value in one.figures().items()}, **one.counts()}
