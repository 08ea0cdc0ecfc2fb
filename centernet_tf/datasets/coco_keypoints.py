"""The keypoints in COCO's JSON: which skeleton its categories mean, and where each annotation's numbers belong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError, brief, closest
from centernet_tf.host.reading import is_text
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton, guess_flip_pairs
from centernet_tf.properties.property import Fault

_HUGE = 1e300  # beyond float64, JSON still has whole numbers


@dataclass(frozen=True)
class KeypointLayout:
    """How annotations become keypoints of one skeleton.

    Attributes:
        skeleton: Of all objects.
        places: For each category with keypoints, by its id, the index in the skeleton of each keypoint that it lists.
    """

    skeleton: Skeleton
    places: Mapping[int, np.ndarray]

    def keypoints(self, row: Mapping[str, Any], which: str) -> np.ndarray | Fault:
        """Keypoints [J, 3] of an annotation: x, y, label; all unlabelled where its category or itself lists none."""
        keypoints = np.zeros((len(self.skeleton.keypoints), 3))
        places = self.places.get(row.get("category_id"))
        values = row.get("keypoints")
        if places is None or values is None or values == []:
            return keypoints
        if not isinstance(values, list) or not all(is_number(value) for value in values):
            detail = f"{which} has keypoints {brief(values)}; expected a list of numbers"
            return Fault("keypoints not readable", detail)
        if len(values) != 3 * len(places):
            detail = (
                f"{which} has {len(values)} numbers of keypoints; expected x, y and label of {len(places)} keypoints"
            )
            return Fault("keypoints not readable", detail)
        if odd := [label for label in values[2::3] if label not in (0, 1, 2)]:
            detail = f"{which} labels a keypoint with {odd[0]:g}; known are 0, 1 (hidden) and 2 (visible)"
            return Fault("unknown label of a keypoint", detail)
        keypoints[places] = np.reshape(values, (-1, 3))
        return keypoints

    def rows(self, keypoints: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of N objects, whose keypoints are [J, 3] each."""
        stacked = np.array(keypoints).reshape(-1, len(self.skeleton.keypoints), 3)
        return {"keypoints": stacked[..., :2], "keypoint_labels": stacked[..., 2].astype(np.int32)}


def describe(skeleton: Skeleton) -> list[str]:
    """Lines that tell of a skeleton nobody gave: a wrong pair shows in no number, only in a model that learns badly."""
    pairs = ", ".join(" - ".join(pair) for pair in skeleton.as_dict()["flip_pairs"])
    return [
        f"{len(skeleton.keypoints)} keypoints: {', '.join(skeleton.keypoints)}",
        f"Swapped when flipped: {pairs or 'none; give --skeleton FILE if left and right differ'}",
    ]


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that float64 can hold; NaN is one."""
    return type(value) is float or (type(value) is int and abs(value) < _HUGE)


def keypoint_layout(
    categories: Sequence[Mapping[str, Any]], skeleton: Skeleton | None, path: Path
) -> KeypointLayout | None:
    """Finds the skeleton of categories, or fits them to a given one.

    Args:
        categories: Those of the classes that are kept.
        skeleton: Given by the user: keypoints are found by name, and categories without a list of names are taken to
            have them in its order. None takes the names and limbs of the JSON, COCO's own skeleton where it is that,
            else with pairs guessed from left and right in the names.
        path: Of the JSON, for errors.

    Returns:
        None where no category has keypoints and none are given.

    Raises:
        DataError: A list of keypoints or limbs is damaged.
        UsageError: Categories list different keypoints, or some that the given skeleton lacks.
    """
    named = {row["id"]: _names(row, path) for row in categories if row.get("keypoints")}
    if skeleton is not None:
        every = np.arange(len(skeleton.keypoints))
        places = {id_: _places(names, skeleton, path) for id_, names in named.items()}
        return KeypointLayout(skeleton, {row["id"]: places.get(row["id"], every) for row in categories})
    if not named:
        return None
    first = next(row for row in categories if row["id"] in named)
    names = named[first["id"]]
    for row in categories:
        if named.get(row["id"], names) != names:
            raise UsageError(
                f"{path}: categories {first['name']!r} and {row['name']!r} list different keypoints. Give a skeleton "
                "that has the keypoints of all of them (--skeleton FILE), or keep the ones that agree (--classes)."
            )
    return KeypointLayout(_skeleton(first, names, path), dict.fromkeys(named, np.arange(len(names))))


def _names(row: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    names = row["keypoints"]
    valid = isinstance(names, list) and all(isinstance(one, str) and one.strip() and is_text(one) for one in names)
    if not valid or len({*names}) < len(names):
        raise DataError(f"{path}: category {row['name']!r} has keypoints {brief(names, 80)}; expected different names.")
    return tuple(names)


def _places(names: tuple[str, ...], skeleton: Skeleton, path: Path) -> np.ndarray:
    for name in names:
        if name not in skeleton.keypoints:
            hint = closest(name, skeleton.keypoints)
            raise UsageError(f"{path}: its keypoint {name!r} is not in the given skeleton.{hint} Use the same names.")
    return np.array([skeleton.keypoints.index(name) for name in names])


def _skeleton(row: Mapping[str, Any], names: tuple[str, ...], path: Path) -> Skeleton:
    if names == COCO_PERSON.keypoints:
        return COCO_PERSON
    limbs = row.get("skeleton") or []
    try:
        pairs = tuple((int(one) - 1, int(other) - 1) for one, other in limbs)  # they count from 1
        return Skeleton(keypoints=names, flip_pairs=guess_flip_pairs(names), limbs=pairs)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: category {row['name']!r} has the skeleton {brief(limbs)}; expected pairs of keypoints numbered 1 "
            f"to {len(names)}. Correct it, or give --skeleton FILE."
        ) from error
