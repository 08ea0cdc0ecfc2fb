"""Reads interactions as plain JSON, to be written by any program, laid out as fredzzhang's V-COCO:

    {"classes": ["hold", "walk"], "objects": ["background", "person", "cup"],
     "annotations": [{"file_name": "1.jpg",
                      "boxes_h": [[left, top, right, bottom], ...], "boxes_o": [[...], ...],
                      "actions": [0, ...], "objects": [2, ...]}, ...]}

The lists of an image have an entry for each pair: box of the subject, box of the object (null where the verb has none),
verb as a place in "classes" and class of the object as a place in "objects". May be there too: "ann_h" and "ann_o",
annotation ids of a COCO JSON that has the boxes of all objects; "subjects", classes of the subjects where they are not
persons; "action_to_object", for each verb the allowed classes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.datasets.hoi_coco import Objects, read_with
from centernet_tf.datasets.hoi_pairs import Pairs, read_box, read_json, told, whole_id, whole_number
from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out, number_images
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.host.reading import is_file
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.interactions.records import ALONE

PERSON, BACKGROUND = "person", "background"
MISSING = "pair of an object that is not there"
SAME = 0.9  # IoU above which a box without an id is that of the COCO JSON
ROLE = re.compile(r"^(?P<action>.+)[ _](obj|instr)$")  # V-COCO's actions in one role
YEAR = re.compile(r"^COCO_(train|val|test)20\d\d_")  # of names in COCO 2014, which later years leave out
LISTS = ("boxes_h", "boxes_o", "actions", "objects")
FURTHER = ("ann_h", "ann_o", "subjects")


class _Words(NamedTuple):
    """Names of the verbs and of the classes, by the numbers of the file; "" for what is no class."""

    verbs: tuple[str, ...]
    classes: tuple[str, ...]


class _Pair(NamedTuple):
    """A pair as the file has it: boxes, names of the classes, annotation ids; of the object None for none."""

    where: str
    verb: int
    boxes: tuple[tuple[float, ...], tuple[float, ...] | None]
    names: tuple[str, str]
    ids: tuple[int | None, int | None]


def read(
    path: str | Path,
    images: str | Path,
    *,
    boxes: str | Path | None = None,
    listed_only: bool = False,
    outside: bool = False,
    **options: Any,
) -> Split:
    """Reads the annotations of a split; images are not opened.

    Args:
        path: The JSON.
        images: Folder that the file names start from; COCO's names of 2014 also name the same files of 2017.
        boxes: A COCO JSON with the boxes of all objects of these images; without it there are those of pairs only.
        listed_only: With `boxes`: leave out images that it does not list, such as those of another split.
        outside: Also read images whose file_name is absolute or climbs out of the folder.
        options: With `boxes`: classes, masks, keypoints and skeleton of `coco.read`.

    Returns:
        The class names, the images in the order of the file or of the COCO JSON, and the property interactions.

    Raises:
        UsageError: A file or the folder is missing.
        DataError: A JSON is damaged or not of this format.
    """
    path, folder = Path(path), Path(images)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of images.")
    if boxes is None and (listed_only or options):
        raise UsageError(
            f"{path}: {', '.join([*options] or ['listed_only'])} needs the COCO JSON with all boxes (--boxes)."
        )
    content = _load(path)
    words = _words(content, path)
    told_of = _property(content, words, path)
    by_name = {_plain_name(one["file_name"]): one for one in content["annotations"]}
    if boxes is None:
        numbers = number_images([Path(name).stem for name in by_name])
        items = [
            _item(place, number, one, folder, words, outside)
            for place, (number, one) in enumerate(zip(numbers, by_name.values()))
        ]
        return Split(tuple(name for name in words.classes if name), items, (told_of,))

    def gather(image: Mapping[str, Any], objects: Objects, pairs: Pairs) -> dict[str, np.ndarray]:
        for pair in _pairs(image, words, pairs):
            _place(pair, objects, pairs)
        return {}

    return read_with(
        boxes,
        folder,
        by_name,
        lambda item: _plain_name(item.filename),
        gather,
        told_of,
        listed_only=listed_only,
        outside=outside,
        **options,
    )


def _load(path: Path) -> dict[str, Any]:
    content = read_json(path)
    for key in ("classes", "objects", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(
                f"{path}: holds {brief(content, 120)}; expected lists of verbs 'classes', of classes 'objects' and of "
                "images 'annotations'."
            )
    for place, one in enumerate(content["annotations"], start=1):
        where = f"{path}: image {place} of {len(content['annotations'])}"
        if not isinstance(one, dict) or not isinstance(one.get("file_name"), str):
            raise DataError(f"{where} is {brief(one, 120)}; expected a file_name and lists {', '.join(LISTS)}.")
        lists = {key: one.get(key) for key in (*LISTS, *FURTHER) if key in LISTS or key in one}
        lengths = {key: len(value) if isinstance(value, list) else None for key, value in lists.items()}
        if len(set(lengths.values())) > 1 or None in lengths.values():
            raise DataError(
                f"{where}, {one['file_name']}: its lists have the lengths {lengths}; expected an entry for each pair."
            )
    return content


def _words(content: Mapping[str, Any], path: Path) -> _Words:
    for key in ("classes", "objects"):
        names = content[key]
        if (
            not names
            or not all(isinstance(name, str) and name.strip() for name in names)
            or len(set(names)) < len(names)
        ):
            raise DataError(f"{path}: {key!r} are {brief(names, 120)}; expected names, none twice.")
    classes = tuple("" if place == 0 and name == BACKGROUND else name for place, name in enumerate(content["objects"]))
    return _Words(tuple(name.replace(" ", "_") for name in content["classes"]), classes)


def _property(content: Mapping[str, Any], words: _Words, path: Path) -> Interactions:
    """Verbs, the actions they are roles of, and the table of allowed pairs."""
    actions = tuple(match["action"] if (match := ROLE.match(name)) else name for name in words.verbs)
    told = {} if set(actions) == set(words.verbs) else {"actions": actions}
    table = content.get("action_to_object")
    if table is None:
        alone, some = _with_objects(content, words)
        return Interactions(
            verbs=words.verbs, allowed={verb: () for verb in words.verbs if verb in alone - some}, **told
        )
    if not isinstance(table, list) or len(table) != len(words.verbs) or not all(isinstance(row, list) for row in table):
        raise DataError(
            f"{path}: 'action_to_object' is {brief(table, 80)}; expected a list of classes for each of "
            f"{len(words.verbs)} verbs."
        )
    allowed = {}
    for verb, row in zip(words.verbs, table):
        numbers = [whole_number(value) for value in row]
        if odd := [
            value for value, number in zip(row, numbers) if number is None or not 0 <= number < len(words.classes)
        ]:
            raise DataError(
                f"{path}: 'action_to_object' of {verb!r} names class {brief(odd[0], 40)}, which is not listed."
            )
        allowed[verb] = tuple(words.classes[number] for number in numbers if words.classes[number])
    return Interactions(verbs=words.verbs, allowed=allowed, **told)


def _with_objects(content: Mapping[str, Any], words: _Words) -> tuple[set[str], set[str]]:
    """Verbs that are done without an object, and those that are done with one."""
    alone: set[str] = set()
    some: set[str] = set()
    for image in content["annotations"]:
        for verb, box in zip(image["actions"], image["boxes_o"]):
            if (number := whole_number(verb)) is not None and 0 <= number < len(words.verbs):
                (alone if box is None else some).add(words.verbs[number])
    return alone, some


def _plain_name(name: str) -> str:
    """The name of a file of COCO without the year."""
    path = Path(name)
    return str(path.with_name(YEAR.sub("", path.name))) if path.name else name


def _pairs(image: Mapping[str, Any], words: _Words, pairs: Pairs) -> list[_Pair]:
    """The pairs of an image that can be read; the others are noted."""
    found = []
    columns = [image[key] for key in LISTS]
    further = [image.get(key) or [None] * len(columns[0]) for key in FURTHER]
    for place, (subject, partner, verb, label, *ids, own) in enumerate(zip(*columns, *further), start=1):
        where = told(f"pair {place} of {image['file_name']}", subject, verb, partner)
        number, labels = whole_number(verb), (PERSON if own is None else _name(own, words), _name(label, words))
        boxes = read_box(subject), None if partner is None else read_box(partner)
        if number is None or not 0 <= number < len(words.verbs):
            pairs.refuse(f"{where}: the verbs have the numbers 0 to {len(words.verbs) - 1}", "unknown verb")
        elif boxes[0] is None or (boxes[1] is None and partner is not None):
            pairs.refuse(f"{where}: expected boxes of four numbers, left, top, right, bottom")
        elif not labels[0] or (partner is not None and not labels[1]):
            pairs.refuse(f"{where}: its class is {brief(label if labels[0] else own, 40)}; expected one of 'objects'")
        elif odd := [value for value in ids if value is not None and whole_id(value) is None]:
            pairs.refuse(f"{where}: annotation id {brief(odd[0], 40)}; expected a whole number")
        else:
            found.append(_Pair(where, number, boxes, labels, tuple(map(whole_id, ids))))
    return found


def _name(label: Any, words: _Words) -> str:
    number = whole_number(label)
    return words.classes[number] if number is not None and 0 <= number < len(words.classes) else ""


def _item(place: int, number: int, image: Mapping[str, Any], folder: Path, words: _Words, outside: bool) -> Item:
    """An image whose objects are those of its pairs; boxes that agree to a hundredth of a pixel are one object."""
    pairs, objects, boxes = Pairs(), {}, []

    def row(box: tuple[float, ...] | None, name: str) -> int:
        if box is None:
            return ALONE
        known = objects.setdefault((*np.round(box, 2).tolist(), name), len(objects))
        if known == len(boxes):
            boxes.append(box)
        return known

    for pair in _pairs(image, words, pairs):
        pairs.add(*(row(box, name) for box, name in zip(pair.boxes, pair.names)), pair.verb)
    name, plain = image["file_name"], _plain_name(image["file_name"])
    return Item(
        key=f"{place:08d}",
        image_id=number,
        source=folder / (name if is_file(folder / name) else plain),
        filename=plain,
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        classes=[one[4] for one in objects],
        rows=pairs.rows(),
        broken=OUTSIDE if leads_out(name) and not outside else None,
        **pairs.fields(),
    )


def _place(pair: _Pair, objects: Objects, pairs: Pairs) -> None:
    """Finds the objects of a pair among those of the COCO JSON, by id or else by their boxes."""
    rows = []
    for box, name, number in zip(pair.boxes, pair.names, pair.ids):
        if box is None:
            rows.append(ALONE)
            continue
        row = objects.rows.get(number) if number is not None else _same(box, name, objects)
        if row is None:
            what = f"annotation {number}" if number is not None else f"box of a {name}"
            pairs.refuse(f"{pair.where}: the COCO JSON has no such {what} in the image", MISSING)
            return
        rows.append(row)
    pairs.add(rows[0], rows[1], pair.verb)


def _same(box: tuple[float, ...], name: str, objects: Objects) -> int | None:
    iou = box_iou(np.array([box]), objects.boxes)[0] * np.array([own == name for own in objects.names], bool)
    return int(iou.argmax()) if len(iou) and iou.max() >= SAME else None
