"""Reads V-COCO (Gupta and Malik, 2015): what persons of COCO do, with the objects of each role, by annotation id.

A verb of the records is an action in one role, such as "hit_instr" and "hit_obj", or an action without roles, such as
"walk". A person who does something with an object that nobody could draw has a pair without an object. Persons whom
V-COCO does not list were not looked at.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.datasets.hoi_coco import Objects, read_with
from centernet_tf.datasets.hoi_pairs import Pairs, read_json, whole_id
from centernet_tf.datasets.items import Split
from centernet_tf.errors import DataError, brief
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.interactions.records import ALONE
from centernet_tf.properties.property import Rows

KEYS = ("image_id", "ann_id", "label", "role_object_id")


class _Verb(NamedTuple):
    """An action in one role.

    Attributes:
        name: "hit_obj"; "walk" of an action without roles.
        action: "hit".
        labels: By image and person: the annotation id of the object, 0 for none, of those who do it.
    """

    name: str
    action: str
    labels: dict[int, dict[int, int]]


def read(labels: str | Path, instances: str | Path, images: str | Path, **options: Any) -> Split:
    """Reads the labels of a split; images are not opened.

    Args:
        labels: vcoco_train.json, vcoco_val.json, vcoco_trainval.json or vcoco_test.json.
        instances: COCO's instances of the same images, such as instances_vcoco_all_2014.json.
        images: Folder that the file names of the COCO JSON start from.
        options: listed_only of `hoi_coco.read_with`; classes, masks, keypoints, skeleton and outside of `coco.read`.

    Returns:
        The class names, the images in the order of their ids, and the property interactions beside those of COCO's.

    Raises:
        UsageError: A file or the folder is missing.
        DataError: A JSON is damaged or not of this format.
    """
    path = Path(labels)
    content = _load(path)
    verbs = [verb for one in content for verb in _verbs(one)]
    persons: dict[int, set[int]] = defaultdict(set)
    for one in content:
        for image, person in zip(one["image_id"], one["ann_id"]):
            persons[image].add(person)

    def gather(image: int, objects: Objects, pairs: Pairs) -> Rows:
        for number, verb in enumerate(verbs):
            for person, partner in verb.labels.get(image, {}).items():
                _add(pairs, objects, person, number, partner, verb.name)
        observed = np.array([name != "person" for name in objects.names], bool)
        observed[[objects.rows[person] for person in persons[image] if person in objects.rows]] = True
        return {"observed": observed}

    told = Interactions(
        verbs=tuple(verb.name for verb in verbs),
        actions=tuple(verb.action for verb in verbs),
        allowed={verb.name: () for verb in verbs if verb.name == verb.action},
    )
    wanted = {image: image for image in persons}
    return read_with(instances, images, wanted, lambda item: item.image_id, gather, told, **options)


def _add(pairs: Pairs, objects: Objects, person: int, verb: int, partner: int, name: str) -> None:
    for what, number in (("person", person), ("object", partner)):
        if number not in objects.rows and (what == "person" or number):
            pairs.refuse(
                f"{what} {number} of {name!r} is no annotation of the image in the COCO JSON, or one that cannot be "
                "used",
                "pair of an object that is not there",
            )
            return
    pairs.add(objects.rows[person], objects.rows[partner] if partner else ALONE, verb)


def _load(path: Path) -> list[dict[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path}: holds {brief(content, 80)}; expected a list of V-COCO's actions.")
    for place, one in enumerate(content, start=1):
        where = f"{path}: action {place} of {len(content)}"
        if not isinstance(one, dict) or not isinstance(one.get("action_name"), str):
            raise DataError(f"{where} is {brief(one, 120)}; expected its action_name, role_name, {', '.join(KEYS)}.")
        for key in KEYS:
            numbers = [whole_id(value) for value in one[key]] if isinstance(one.get(key), list) else [None]
            if None in numbers:
                raise DataError(
                    f"{where}, {one['action_name']}: {key} is {brief(one.get(key), 80)}; expected integers."
                )
            one[key] = numbers
        roles, count = one.get("role_name"), len(one["ann_id"])
        if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
            raise DataError(
                f"{where}, {one['action_name']}: role_name is {brief(roles, 80)}; expected agent and roles."
            )
        lengths = [len(one[key]) for key in KEYS]
        if lengths != [count, count, count, count * len(roles)]:
            raise DataError(
                f"{where}, {one['action_name']}: {', '.join(KEYS)} have {lengths} numbers; expected one for each of "
                f"{count} persons, and for each of {len(roles)} roles in role_object_id."
            )
    return content


def _verbs(action: dict[str, Any]) -> list[_Verb]:
    """The verbs of an action. Objects stand role by role, the persons themselves first."""
    name, roles = action["action_name"], action["role_name"][1:]
    columns = np.reshape(action["role_object_id"], (len(roles) + 1, -1))[1:] if roles else [[0] * len(action["ann_id"])]
    verbs = []
    for role, column in zip(roles or [""], columns):
        labels: dict[int, dict[int, int]] = {}
        for image, person, label, partner in zip(action["image_id"], action["ann_id"], action["label"], column):
            if label == 1:
                labels.setdefault(image, {})[person] = int(partner)
        verbs.append(_Verb(f"{name}_{role}" if role else name, name, labels))
    return verbs
