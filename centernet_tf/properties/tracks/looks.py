"""Who looks alike: embeddings compared across images, and how well they find the same object again."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from centernet_tf.geometry.assignment import best_pairs
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Rows

EMBEDDINGS = "embeddings"
IOU = 0.5  # from which what is found shows the object that is annotated
MOST = 16  # times that an identity is looked at, spread over its life
SHOWN = 7  # of what looks most like a query, in a picture
LINES = 8  # queries in a picture
CHUNK = 512  # queries that are compared with all others at the same time


def nearest(queries: np.ndarray, gallery: np.ndarray, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The objects that look most like each of some others, such as `fields["embeddings"]` of two `Detections`.

    Args:
        queries: [Q, D] of length 1.
        gallery: [G, D] of length 1.
        count: How many of each.

    Returns:
        Their rows in the gallery [Q, min(count, G)], the most alike first, and the cosine of each pair, -1 to 1.
    """
    alike = np.asarray(queries, np.float32) @ np.asarray(gallery, np.float32).T
    rows = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(alike, rows, axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Sights:
    """Every look at an identity that is compared.

    Attributes:
        embeddings: [S, D] of length 1.
        identities: [S] whole numbers; each identity is of one class and one video.
        classes: [S] 0-based.
        images: [S] numbers of the images.
        boxes: [S, 4] left, top, right, bottom in pixels of the image.
    """

    embeddings: np.ndarray
    identities: np.ndarray
    classes: np.ndarray
    images: np.ndarray
    boxes: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class LooksScore(Score):
    """How well embeddings find an object again among all others of its class.

    Attributes:
        precision: Average precision of each query, a sight of an identity that has others.
        first: Whether the most alike is the same identity, of each query.
        chance: What `precision` would be of a ranking by lot, of each query.
        queries: [Q] rows in `sights`.
        sights: What was compared.
    """

    precision: np.ndarray
    first: np.ndarray
    chance: np.ndarray
    queries: np.ndarray
    sights: Sights

    def figures(self) -> dict[str, float]:
        """From 0 to 1; NaN without queries."""
        named = {"mAP": self.precision, "rank-1": self.first, "mAP by chance": self.chance}
        return {name: float(np.mean(one)) if len(one) else float("nan") for name, one in named.items()}

    def tables(self) -> list[Table]:
        table = Table(title=f"Looks: {len(self.queries)} queries of {self._seen()} identities")
        for name in self.figures():
            table.add_column(name, justify="right")
        table.add_row(*map(percent, self.figures().values()))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "looks": "queries", "identities" and the figures."""
        plain = {name: number(value) for name, value in self.figures().items()}
        return {"looks": {"queries": len(self.queries), "identities": self._seen(), **plain}}

    @property
    def shown(self) -> Sequence[int]:
        rows = {row for query in self._examples() for row in (query, *similar(self.sights, query))}
        return [int(self.sights.images[row]) for row in sorted(rows)]

    def pictures(self, images: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
        return {"looks": crops(self, images, self._examples())} if len(self.queries) else {}

    def _examples(self) -> list[int]:
        """Queries from the best found to the worst."""
        order = self.queries[np.argsort(-self.precision, kind="stable")]
        return order[np.linspace(0, len(order) - 1, min(LINES, len(order))).round().astype(int)].tolist()

    def _seen(self) -> int:
        return len(np.unique(self.sights.identities[self.queries]))


class LooksMetric(Metric):
    """Gathers what annotated objects look like to the model, and ranks them against each other."""

    def __init__(self) -> None:
        # {(class, video, identity): sights, every `stride`-th so far}
        self._sights: dict[tuple[int, str, int], list[tuple[np.ndarray, int, np.ndarray]]] = {}
        self._stride: dict[tuple[int, str, int], list[int]] = {}
        self._told = False

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        if EMBEDDINGS not in found:
            return
        self._told = True
        wanted = np.flatnonzero(~truth["ignored"] & ~truth["crowd"] & (truth["track_ids"] >= 0))
        iou = box_iou(truth["boxes"][wanted], found["boxes"])
        iou = np.where(truth["classes"][wanted][:, None] == found["classes"][None], iou, 0.0)
        for row, column in zip(*best_pairs(iou, maximize=True)):
            if iou[row, column] >= IOU:
                owner = wanted[row]
                key = int(truth["classes"][owner]), image.video, int(truth["track_ids"][owner])
                self._keep(key, (found[EMBEDDINGS][column], image.image_id, found["boxes"][column]))

    def _keep(self, key: tuple[int, str, int], sight: tuple[np.ndarray, int, np.ndarray]) -> None:
        """Evenly over a life whose length nobody knows: where there are too many, every second goes."""
        stride = self._stride.setdefault(key, [1, 0])
        if stride[1] % stride[0] == 0:
            self._sights.setdefault(key, []).append(sight)
            if len(self._sights[key]) > MOST:
                self._sights[key] = self._sights[key][::2]
                stride[0] *= 2
        stride[1] += 1

    def result(self) -> LooksScore | None:
        if not self._told:
            return None
        flat = [(key[0], number, *sight) for number, (key, all_) in enumerate(self._sights.items()) for sight in all_]
        if not flat:
            none = np.zeros(0)
            return LooksScore(none, none, none, none.astype(int), Sights(none, none, none, none, none))
        classes, identities, embeddings, images, boxes = map(np.array, zip(*flat))
        return rank(Sights(embeddings, identities, classes, images, boxes))


def rank(sights: Sights) -> LooksScore:
    """Every sight is a query once; all others of its class but those in its own image are ranked by their cosine."""
    parts: list[tuple[float, bool, float, int]] = []
    for start in range(0, len(sights.identities), CHUNK):
        alike = sights.embeddings[start : start + CHUNK] @ sights.embeddings.T
        for query, row in enumerate(alike, start=start):
            others = (sights.classes == sights.classes[query]) & (sights.images != sights.images[query])
            order = np.argsort(-row[others], kind="stable")
            right = (sights.identities[others] == sights.identities[query])[order]
            if right.any():
                parts.append((average_precision(right), bool(right[0]), by_chance(int(right.sum()), len(right)), query))
    precision, first, chance, queries = map(np.array, zip(*parts)) if parts else [np.zeros(0)] * 4
    return LooksScore(precision, first, chance, queries.astype(int), sights)


def average_precision(right: np.ndarray) -> float:
    """Mean of the precision at each right answer of a ranking [N] bool, the first one best."""
    places = np.flatnonzero(right)
    return float(np.mean(np.arange(1, len(places) + 1) / (places + 1)))


def by_chance(right: int, count: int) -> float:
    """The average precision to be expected of a ranking by lot, with so many right ones among all."""
    harmonic = float(np.sum(1 / np.arange(1, count + 1)))
    if count == 1:
        return 1.0
    return harmonic / count + (right - 1) / (count - 1) * (1 - harmonic / count)


def crops(sheet: LooksScore, images: Mapping[int, np.ndarray], rows: Sequence[int], side: int = 64) -> np.ndarray:
    """A picture of queries, a line each: the query, and what looks most like it.

    Args:
        sheet: What was ranked.
        images: {number: [H, W, 3] uint8 RGB} of those that are shown.
        rows: Queries to show, rows in `sights`.
        side: Of a crop in pixels.

    Returns:
        [len(rows) * side, 8 * side, 3] uint8 RGB. Frames are green where it is the same identity, red where not.
    """
    lines = []
    for query in rows:
        shown = [query, *similar(sheet.sights, query)]
        same = sheet.sights.identities[shown] == sheet.sights.identities[query]
        line = [_crop(sheet.sights, one, images, side) for one in shown]
        for patch, right, place in zip(line, same, range(len(line))):
            _frame(patch, (90, 90, 90) if place == 0 else (40, 170, 60) if right else (210, 40, 40))
        line += [np.zeros((side, side, 3), np.uint8)] * (SHOWN + 1 - len(line))
        lines.append(np.concatenate(line, axis=1))
    return np.concatenate(lines) if lines else np.zeros((side, (SHOWN + 1) * side, 3), np.uint8)


def similar(sights: Sights, query: int) -> list[int]:
    """The sights most like a query, of its class and not of its image, the most alike first."""
    others = np.flatnonzero((sights.classes == sights.classes[query]) & (sights.images != sights.images[query]))
    (found,), _ = nearest(sights.embeddings[[query]], sights.embeddings[others], SHOWN)
    return others[found].tolist()


def _crop(sights: Sights, row: int, images: Mapping[int, np.ndarray], side: int) -> np.ndarray:
    image = images[int(sights.images[row])]
    left, top, right, bottom = sights.boxes[row].round().astype(int)
    left, top = np.clip([left, top], 0, [image.shape[1] - 1, image.shape[0] - 1])
    patch = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)


def _frame(patch: np.ndarray, color: tuple[int, int, int]) -> None:
    patch[:3], patch[-3:], patch[:, :3], patch[:, -3:] = color, color, color, color
