"""The joints in COCO's JSON: which skeleton its categories mean, and where in it each annotation's numbers belong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.items import Fault
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.skeleton import COCO_PERSON, Skeleton, guess_flip_pairs


@dataclass(frozen=True)
class JointLayout:
    """How annotations become joints of one skeleton.

    Attributes:
        skeleton: Of all objects.
        places: For each category with joints, by its id, the index in the skeleton of each joint that it lists.
    """

    skeleton: Skeleton
    places: Mapping[int, np.ndarray]

    def joints(self, row: Mapping[str, Any], which: str) -> np.ndarray | Fault:
        """Joints [J, 3] of an annotation: x, y, label; all unlabelled where its category or itself lists none."""
        joints = np.zeros((len(self.skeleton.joints), 3))
        places = self.places.get(row.get("category_id"))
        values = row.get("keypoints")
        if places is None or values is None or values == []:
            return joints
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            return Fault("joints not readable", f"{which} has keypoints {values!r:.60}; expected a list of numbers")
        if len(values) != 3 * len(places):
            detail = f"{which} has {len(values)} numbers of keypoints; expected x, y and label of {len(places)} joints"
            return Fault("joints not readable", detail)
        joints[places] = np.reshape(values, (-1, 3))
        return joints


def joint_layout(categories: Sequence[Mapping[str, Any]], skeleton: Skeleton | None, path: Path) -> JointLayout | None:
    """Finds the skeleton of categories, or fits them to a given one.

    Args:
        categories: Those of the classes that are kept.
        skeleton: Given by the user: joints are found by name, and categories without a list of names are taken to have
            them in its order. None takes the names and limbs of the JSON, COCO's own skeleton where it is that, else
            with pairs guessed from left and right in the names.
        path: Of the JSON, for errors.

    Returns:
        None where no category has joints and none are given.

    Raises:
        DataError: A list of joints or limbs is damaged.
        UsageError: Categories list different joints, or some that the given skeleton lacks.
    """
    named = {row["id"]: _names(row, path) for row in categories if row.get("keypoints")}
    if skeleton is not None:
        every = np.arange(len(skeleton.joints))
        places = {id_: _places(names, skeleton, path) for id_, names in named.items()}
        return JointLayout(skeleton, {row["id"]: places.get(row["id"], every) for row in categories})
    if not named:
        return None
    first = next(row for row in categories if row["id"] in named)
    names = named[first["id"]]
    for row in categories:
        if named.get(row["id"], names) != names:
            raise UsageError(
                f"{path}: categories {first['name']!r} and {row['name']!r} list different joints. Give a skeleton "
                "that has the joints of all of them (--skeleton FILE), or keep the ones that agree (--classes)."
            )
    return JointLayout(_skeleton(first, names, path), dict.fromkeys(named, np.arange(len(names))))


def _names(row: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    names = row["keypoints"]
    valid = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
    if not valid or len({*names}) < len(names):
        raise DataError(f"{path}: category {row['name']!r} has keypoints {names!r:.80}; expected different names.")
    return tuple(names)


def _places(names: tuple[str, ...], skeleton: Skeleton, path: Path) -> np.ndarray:
    for name in names:
        if name not in skeleton.joints:
            hint = closest(name, skeleton.joints)
            raise UsageError(f"{path}: its joint {name!r} is not in the given skeleton.{hint} Use the same names.")
    return np.array([skeleton.joints.index(name) for name in names])


def _skeleton(row: Mapping[str, Any], names: tuple[str, ...], path: Path) -> Skeleton:
    if names == COCO_PERSON.joints:
        return COCO_PERSON
    limbs = row.get("skeleton") or []
    try:
        pairs = tuple((int(one) - 1, int(other) - 1) for one, other in limbs)  # they count from 1
        return Skeleton(joints=names, flip_pairs=guess_flip_pairs(names), limbs=pairs)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: category {row['name']!r} has the skeleton {limbs!r:.60}; expected pairs of joints, numbered 1 to "
            f"{len(names)}. Correct it, or give --skeleton FILE."
        ) from error
