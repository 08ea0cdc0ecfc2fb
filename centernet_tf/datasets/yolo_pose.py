"""The keypoints in YOLO labels: which skeleton a data.yaml means, and what the columns behind a box say.

`kpt_shape: [J, 2 or 3]` tells how many keypoints there are, with x and y, or x, y and a label each: 0 unlabelled,
1 hidden, 2 visible. Without labels, a keypoint below 0 is unlabelled, as ultralytics has it, and so is one at 0, 0,
which other programs write. `flip_idx` tells which keypoint each is in a mirrored image, `kpt_names` their names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.host.reading import is_text
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton, guess_flip_pairs

LABELS = (0, 1, 2)
VISIBLE = 2
# Of the image's size; what lies further out is a number of pixels.
FARTHEST = 2.0


@dataclass(frozen=True)
class Pose:
    """How the columns behind a box become keypoints.

    Attributes:
        skeleton: Of all objects.
        numbers: Columns of each keypoint, 2 or 3.
    """

    skeleton: Skeleton
    numbers: int

    @property
    def columns(self) -> int:
        """Behind each box."""
        return len(self.skeleton.keypoints) * self.numbers

    @property
    def property(self) -> Keypoints:
        """What objects have."""
        return Keypoints(skeleton=self.skeleton)

    def read(self, values: Sequence[float]) -> np.ndarray:
        """Keypoints [J, 3] of an object, x and y in 0..1 and a label; of no values all are unlabelled.

        Raises:
            ValueError: What is wrong with them.
        """
        if not len(values):
            return np.zeros((len(self.skeleton.keypoints), 3))
        given = np.reshape(np.array(values, np.float64), (-1, self.numbers))
        labels = given[:, 2] if self.numbers == 3 else _seen(given)
        if odd := [label for label in labels if label not in LABELS]:
            raise ValueError(f"labels a keypoint with {odd[0]:g}; known are 0, 1 (hidden) and 2 (visible)")
        points = np.where(labels[:, None] > 0, given[:, :2], 0)
        if (np.abs(points) > FARTHEST).any():
            raise ValueError("has keypoints in pixels; expected fractions from 0 to 1")
        return np.concatenate([points, labels[:, None]], axis=1)

    def rows(self, keypoints: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of N objects, whose keypoints are [J, 3] each."""
        stacked = np.array(keypoints).reshape(-1, len(self.skeleton.keypoints), 3)
        return {"keypoints": stacked[..., :2], "keypoint_labels": stacked[..., 2].astype(np.int32)}


def read_pose(content: Mapping[str, Any], skeleton: Skeleton | None, path: Path) -> Pose:
    """Reads what a data.yaml with a `kpt_shape` says of keypoints.

    Args:
        content: Of the file.
        skeleton: Given by the user, in the order of the columns; None takes the names of the file, COCO's own skeleton
            where it is that, or numbers for names.
        path: Of the file, for errors.

    Raises:
        DataError: `kpt_shape`, `flip_idx` or `kpt_names` are not what the module's docstring says.
        UsageError: The given skeleton has another number of keypoints.
    """
    count, numbers = _shape(content["kpt_shape"], path)
    if skeleton is None:
        skeleton = _skeleton(content, count, path)
    elif len(skeleton.keypoints) != count:
        raise UsageError(
            f"{path}: its 'kpt_shape' has {count} keypoints, the given skeleton {len(skeleton.keypoints)}. Give one "
            "that names them in the order of the columns."
        )
    return Pose(skeleton, numbers)


def _shape(shape: Any, path: Path) -> tuple[int, int]:
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not whole or len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
        raise DataError(
            f"{path}: 'kpt_shape' is {brief(shape)}; expected how many keypoints an object has and how many numbers "
            "each (2, or 3 with visibility), such as [17, 3]."
        )
    return shape[0], shape[1]


def _seen(points: np.ndarray) -> np.ndarray:
    """Labels [J] of keypoints [J, 2] that have none."""
    absent = (points < 0).any(axis=1) | (points == 0).all(axis=1)
    return np.where(absent, 0, VISIBLE).astype(np.float64)


def _skeleton(content: Mapping[str, Any], count: int, path: Path) -> Skeleton:
    names, flipped = _names(content.get("kpt_names"), count, path), _flipped(content.get("flip_idx"), count, path)
    if count == len(COCO_PERSON.keypoints):
        same = flipped == COCO_PERSON.flip_order if flipped else False
        if names == COCO_PERSON.keypoints or (names is None and same):
            return COCO_PERSON
    names = names or tuple(f"keypoint_{number}" for number in range(1, count + 1))
    if flipped is None:
        return Skeleton(keypoints=names, flip_pairs=guess_flip_pairs(names))
    pairs = tuple((place, other) for place, other in enumerate(flipped) if place < other)
    return Skeleton(keypoints=names, flip_pairs=pairs)


def _flipped(given: Any, count: int, path: Path) -> tuple[int, ...] | None:
    if not given:
        return None
    whole = isinstance(given, list) and all(type(place) is int and 0 <= place < count for place in given)
    if not whole or len(given) != count or any(given[given[place]] != place for place in range(count)):
        raise DataError(
            f"{path}: 'flip_idx' is {brief(given)}; expected for each of {count} keypoints the place, from 0, of the "
            "one that it is in a mirrored image, and for that one its own."
        )
    return tuple(given)


def _names(given: Any, count: int, path: Path) -> tuple[str, ...] | None:
    """The names of keypoints: one list, or one for each class, which are all the same."""
    if not given:
        return None
    lists = list(given.values()) if isinstance(given, dict) else given
    if isinstance(lists, list) and not all(isinstance(one, list) for one in lists):
        lists = [lists]
    valid = isinstance(lists, list) and all(isinstance(one, str) and one.strip() and is_text(one) for one in lists[0])
    if not valid or any(one != lists[0] for one in lists):
        raise DataError(
            f"{path}: 'kpt_names' is {brief(given, 120)}; expected one list of names, which all classes share. Give a "
            "skeleton (--skeleton FILE) where they do not."
        )
    if len(lists[0]) != count or len(set(lists[0])) < count:
        raise DataError(
            f"{path}: 'kpt_names' has {len(set(lists[0]))} different names, 'kpt_shape' {count} keypoints. Correct one."
        )
    return tuple(lists[0])
