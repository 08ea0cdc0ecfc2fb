"""What can be wrong with keypoints of records, and how often each is labelled."""

from collections import Counter
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.host.plain import plain
from centernet_tf.properties.keypoints import records
from centernet_tf.properties.keypoints.skeleton import Skeleton, guess_flip_pairs
from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.notebook import Check, Notebook
from centernet_tf.properties.property import Rows, Size, Survey

CHECKS = {
    "bad_keypoints": Check(
        "error",
        "objects whose keypoints do not fit the skeleton or are not finite",
        "Correct annotations or skeleton.",
    ),
    "unused_keypoint": Check(
        "warning", "keypoints that are labelled on no object", "Remove them; they cannot be learnt."
    ),
    "no_pair": Check(
        "warning", "keypoints named left and right that no flip pair joins", "Add them to the skeleton's flip_pairs."
    ),
    "outside_keypoint": Check("note", "keypoints outside their image", "Kept, as in COCO; they count in OKS."),
}


def difference(one: Skeleton, other: Skeleton) -> str:
    """What two skeletons do not share, such as "other limbs, sigmas"; "" where they are equal."""
    values, others = one.as_dict(), other.as_dict()
    keys = [key for key in values if values[key] != others[key]]
    return f"other {', '.join(keys)}" if keys else ""


class KeypointSurvey(Survey):
    """Adds up the keypoints of one image at a time.

    Attributes:
        counts: For each keypoint, by name: how often it is "visible" and "hidden", and of these "outside" the image.
    """

    def __init__(self, skeleton: Skeleton, notebook: Notebook) -> None:
        self.skeleton, self.notebook = skeleton, notebook
        self.counts = {name: Counter(visible=0, hidden=0, outside=0) for name in skeleton.keypoints}

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        """Takes in the keypoints of an image."""
        points, labels = rows["keypoints"], rows["keypoint_labels"]
        bad = ~np.isin(labels, records.LABELS) | ((labels > 0) & ~np.isfinite(points).all(axis=-1))
        if bad.any():
            row, keypoint = np.argwhere(bad)[0]
            place = [*points[row, keypoint].tolist(), int(labels[row, keypoint])]
            text = f"{name}: {self.skeleton.keypoints[keypoint]} of object {row + 1} is {place}"
            self.notebook.add("bad_keypoints", text, bad.any(axis=1).sum())
        used = (labels > 0) & ~bad
        beyond = records.outside(rows, size) & used
        self.notebook.add("outside_keypoint", name, beyond.sum())
        for index, keypoint in enumerate(self.skeleton.keypoints):
            self.counts[keypoint].update(
                visible=int((used & (labels == 2))[:, index].sum()),
                hidden=int((used & (labels == 1))[:, index].sum()),
                outside=int(beyond[:, index].sum()),
            )

    def close(self) -> None:
        """Notes what only all images together show."""
        for name, counts in self.counts.items():
            self.notebook.add("unused_keypoint", name, not counts["visible"] + counts["hidden"])
        paired = {frozenset(pair) for pair in self.skeleton.flip_pairs}
        for one, other in guess_flip_pairs(self.skeleton.keypoints):
            text = f"{self.skeleton.keypoints[one]} and {self.skeleton.keypoints[other]}"
            self.notebook.add("no_pair", text, frozenset((one, other)) not in paired)

    def tables(self) -> list[Table]:
        """How often each keypoint is labelled."""
        table = Table(box=None, pad_edge=False)
        table.add_column("keypoint")
        for name in ("visible", "hidden", "outside"):
            table.add_column(name, justify="right")
        for keypoint, counts in self.counts.items():
            table.add_row(plain(keypoint), *(str(count) for count in counts.values()))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """{keypoint: {"visible", "hidden", "outside"}}, and the skeleton."""
        return {
            "skeleton": self.skeleton.as_dict(),
            "labelled": {name: dict(counts) for name, counts in self.counts.items()},
        }
