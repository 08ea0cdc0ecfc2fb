"""The books of a conversion: what became of every image and every box."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What became of every image and every box.

    `images_in == images_written + len(images_skipped)` and `boxes_in == boxes_written + sum(boxes_dropped.values())`;
    pairs of objects as boxes.

    Attributes:
        images_skipped: File name and reason of each image left out.
        images_changed: Images that were not stored byte for byte, counted by reason.
        images_empty: Written images without a box; they train as background.
        boxes_clipped: Written boxes that reached over the edge of their image.
        boxes_dropped: Boxes left out, counted by reason.
        dropped: File name and description of each unusable box.
        pairs_dropped: Pairs of objects left out, counted by reason.
        dropped_pairs: File name and description of each unusable pair.
        objects_per_class: Written boxes of each class, by name, without ignored ones.
        ignored: Written ignored boxes, by the name that the source gives them.
        properties: What each property of the records counts of the written objects, by its name.
    """

    images_in: int = 0
    images_written: int = 0
    images_skipped: list[tuple[str, str]] = field(default_factory=list)
    images_changed: Counter = field(default_factory=Counter)
    images_empty: int = 0
    boxes_in: int = 0
    boxes_written: int = 0
    boxes_clipped: int = 0
    boxes_dropped: Counter = field(default_factory=Counter)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    pairs_in: int = 0
    pairs_written: int = 0
    pairs_dropped: Counter = field(default_factory=Counter)
    dropped_pairs: list[tuple[str, str]] = field(default_factory=list)
    objects_per_class: Counter = field(default_factory=Counter)
    ignored: Counter = field(default_factory=Counter)
    properties: dict[str, Counter] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists and dictionaries, as dataset.yaml keeps it."""
        counted = {name: dict(counts) for name, counts in self.properties.items() if counts}
        return {
            "images": {
                "in": self.images_in,
                "written": self.images_written,
                "without_objects": self.images_empty,
                "changed": dict(sorted(self.images_changed.items())),
                "skipped": [f"{name}: {reason}" for name, reason in self.images_skipped],
            },
            "boxes": {
                "in": self.boxes_in,
                "written": self.boxes_written,
                "clipped": self.boxes_clipped,
                **({"ignored": dict(sorted(self.ignored.items()))} if self.ignored else {}),
                "dropped": dict(sorted(self.boxes_dropped.items())),
                "unusable": [f"{name}: {detail}" for name, detail in self.dropped],
            },
            **({"pairs": self._pairs()} if self.pairs_in else {}),
            **({"properties": counted} if counted else {}),
        }

    def _pairs(self) -> dict[str, Any]:
        return {
            "in": self.pairs_in,
            "written": self.pairs_written,
            "dropped": dict(sorted(self.pairs_dropped.items())),
            "unusable": [f"{name}: {detail}" for name, detail in self.dropped_pairs],
        }
