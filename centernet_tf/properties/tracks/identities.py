"""Numbers of identities over all videos of a data set: what a classifier of identities is trained on."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.property import Rows


@dataclasses.dataclass(frozen=True, eq=False)
class Identities:
    """Who is who over all videos. Labels of different videos are different identities, those of single images are not.

    The numbers of a class follow one another, so that "number - starts[class]" counts within it. They depend on nothing
    but which labels there are, neither on the order of the records nor on their files.

    Attributes:
        labels: {video: [L] int64, ascending labels}; "" for all single images.
        numbers: {video: [L] int32, the number of each, from 0}.
        per_class: [C] how many there are of each class.
    """

    labels: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    numbers: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    per_class: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.per_class)

    @property
    def starts(self) -> tuple[int, ...]:
        """[C] the first number of each class."""
        return tuple(np.cumsum([0, *self.per_class])[:-1].tolist())

    def of(self, video: str, labels: np.ndarray) -> np.ndarray:
        """Numbers [N] int32 of the labels [N] of a frame; -1 for what is not in the table."""
        known = self.labels.get(video)
        if known is None or not len(known):
            return np.full(len(labels), -1, np.int32)
        places = np.searchsorted(known, labels).clip(max=len(known) - 1)
        return np.where(known[places] == labels, self.numbers[video][places], -1).astype(np.int32)


def number(images: Iterable[tuple[ImageKey, Rows]]) -> Identities:
    """Numbers all identities: by class, then by the video's name, then by label.

    What is ignored or a group is nobody. Who is of several classes counts where most of the boxes are; of two that have
    as many, in the first.

    Args:
        images: All images with their rows: "track_ids", "classes", "ignored" and "crowd".
    """
    boxes: Counter[tuple[str, int, int]] = Counter()  # of each video, label and class
    for image, rows in images:
        someone = (rows["track_ids"] >= 0) & (rows["classes"] >= 0) & ~rows["ignored"] & ~rows["crowd"]
        labels, classes = rows["track_ids"][someone].tolist(), rows["classes"][someone].tolist()
        boxes.update((image.video, label, kind) for label, kind in zip(labels, classes))
    kinds: dict[tuple[str, int], tuple[int, int]] = {}  # the most boxes, and the class they have, negative
    for (video, label, kind), many in boxes.items():
        kinds[video, label] = max(kinds.get((video, label), (0, 0)), (many, -kind))
    ordered = sorted((-kind, video, label) for (video, label), (_, kind) in kinds.items())
    named: dict[str, Any] = {}
    for place, (_, video, label) in enumerate(ordered):
        named.setdefault(video, []).append((label, place))
    tables = {video: np.array(sorted(pairs), np.int64) for video, pairs in named.items()}
    counts = Counter(kind for kind, *_ in ordered)
    return Identities(
        labels={video: table[:, 0] for video, table in tables.items()},
        numbers={video: table[:, 1].astype(np.int32) for video, table in tables.items()},
        per_class=tuple(counts[kind] for kind in range(max(counts, default=-1) + 1)),
    )
