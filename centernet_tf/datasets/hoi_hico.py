"""Reads HICO-DET as it is published: anno_bbox.mat, boxes for each of 600 kinds of interaction."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.coco_names import COCO_CLASSES
from centernet_tf.datasets.hoi_pairs import Pairs, whole_number
from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out, number_images
from centernet_tf.datasets.mat_files import read_mat
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.properties.interactions import Interactions

PARTS = ("train", "test")
UNSEEN = "interaction that is not seen"  # HICO-DET's "invis": known of the whole image, but nobody could draw a box
PERSON = "person"


def read(path: str | Path, images: str | Path, *, part: str = "train", outside: bool = False) -> Split:
    """Reads the annotations of a part; images are not opened.

    Boxes are annotated anew for each kind of interaction: those that agree in all numbers are one object. Their pixels
    count from 1 and right and bottom are the last ones, so a record's box begins at left - 1 and ends at right.

    Args:
        path: anno_bbox.mat.
        images: Folder of the images of the part, such as images/train2015.
        part: "train" or "test".
        outside: Also read images whose name is absolute or climbs out of the folder.

    Returns:
        The class names in COCO's order, the images in the order of the file, and the property interactions, with the
        600 allowed pairs and the counts of the training set.

    Raises:
        UsageError: The file or the folder is missing, or there is no such part.
        DataError: The file is no MAT file, or not HICO-DET's.
    """
    path, folder = Path(path), Path(images)
    if part not in PARTS:
        raise UsageError(f"part {part!r:.60}: expected {' or '.join(PARTS)}.")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of images.")
    content = _load(path)
    words = _words(content["list_action"], path)
    rows = _list(content[f"bbox_{part}"])
    names = [_text(one, "filename", path) for one in rows]
    numbers = number_images([Path(name).stem for name in names])
    items = [
        _item(place, number, one, folder, words, outside) for place, (number, one) in enumerate(zip(numbers, rows))
    ]
    allowed = {verb: tuple(name for own, name in words.kinds if own == verb) for verb in words.verbs}
    trained = _count(_list(content["bbox_train"]), words)
    return Split(words.classes, items, (Interactions(verbs=words.verbs, allowed=allowed, trained=trained),))


@dataclasses.dataclass(frozen=True)
class _Words:
    """What the numbers of a file mean: its path for errors, (verb, class) of each kind, names of classes and verbs."""

    path: Path
    kinds: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    verbs: tuple[str, ...]


def _words(actions: Any, path: Path) -> _Words:
    kinds = tuple((_text(one, "vname", path), _text(one, "nname", path).replace("_", " ")) for one in _list(actions))
    if not kinds:
        raise DataError(f"{path}: list_action is empty; expected HICO-DET's kinds of interaction.")
    known = {PERSON, *(name for _, name in kinds)}
    # In COCO's order, so that detectors of COCO fit.
    classes = [name for name in COCO_CLASSES if name in known]
    classes += sorted(known.difference(classes))
    return _Words(path, kinds, tuple(classes), tuple(sorted({verb for verb, _ in kinds})))


def _count(images: Sequence[Any], words: _Words) -> dict[str, dict[str, int]]:
    """Pairs of each verb and class."""
    counts: dict[str, dict[str, int]] = {}
    for image in images:
        for kind, _, connection in _interactions(image, words):
            verb, name = words.kinds[kind]
            if len(connection):
                own = counts.setdefault(verb, {})
                own[name] = own.get(name, 0) + len(connection)
    return counts


def _load(path: Path) -> dict[str, Any]:
    content = read_mat(path)
    wanted = ("list_action", *(f"bbox_{part}" for part in PARTS))
    if missing := [name for name in wanted if name not in content]:
        names = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        hint = " This is HICO without boxes; give anno_bbox.mat of HICO-DET." if "anno_train" in content else ""
        raise DataError(f"{path}: no HICO-DET: it lacks {', '.join(missing)}, and holds {names[:200]}.{hint}")
    return content


def _item(place: int, number: int, image: Any, folder: Path, words: _Words, outside: bool) -> Item:
    name, pairs, objects = _text(image, "filename", words.path), Pairs(), {}
    for kind, one, connection in _interactions(image, words):
        if getattr(one, "invis", 0):
            pairs.left_out[UNSEEN] += 1
            continue
        verb, label = words.kinds[kind]
        rows = [
            [objects.setdefault((*box, what), len(objects)) for box in _boxes(getattr(one, key, None), words.path)]
            for key, what in (("bboxhuman", PERSON), ("bboxobject", label))
        ]
        for subject, partner in connection.tolist():
            if 1 <= subject <= len(rows[0]) and 1 <= partner <= len(rows[1]):
                pairs.add(rows[0][subject - 1], rows[1][partner - 1], words.verbs.index(verb))
            else:
                pairs.refuse(
                    f"{name}: {verb} {label} joins person {subject} of {len(rows[0])} and object {partner} of "
                    f"{len(rows[1])}, which count from 1",
                    "pair of an object that is not there",
                )
    size = getattr(image, "size", None)
    return Item(
        key=f"{place:08d}",
        image_id=number,
        source=folder / name,
        filename=name,
        boxes=np.array([one[:4] for one in objects], np.float64).reshape(-1, 4) - [1, 1, 0, 0],
        classes=[one[4] for one in objects],
        rows=pairs.rows(),
        width=_side(size, "width"),
        height=_side(size, "height"),
        broken=OUTSIDE if leads_out(name) and not outside else None,
        **pairs.fields(),
    )


def _interactions(image: Any, words: _Words) -> Iterator[tuple[int, Any, np.ndarray]]:
    """Of each kind of interaction in an image: its number from 0, what is said of it, and [n, 2] who does what."""
    for one in _list(getattr(image, "hoi", None)):
        number = _number(getattr(one, "id", None))
        if number is None or not 1 <= number <= len(words.kinds):
            raise DataError(
                f"{words.path}: {_text(image, 'filename', words.path)}: interaction "
                f"{brief(getattr(one, 'id', None), 60)}; expected a "
                f"number from 1 to {len(words.kinds)}, as in list_action."
            )
        connection = np.asarray(getattr(one, "connection", ()))
        if connection.dtype.kind not in "iuf" or connection.size % 2:
            raise DataError(
                f"{words.path}: {_text(image, 'filename', words.path)}: connection {brief(connection.tolist(), 60)} of "
                f"interaction {number}; expected [n, 2]."
            )
        yield number - 1, one, connection.astype(np.int64).reshape(-1, 2)


def _list(values: Any) -> list[Any]:
    """A MATLAB array of structs, which SciPy gives as a single one where it has one."""
    return [] if values is None else list(np.atleast_1d(np.asarray(values, object)).ravel())


def _text(row: Any, field: str, path: Path) -> str:
    value = getattr(row, field, None)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}: no HICO-DET: a row of it has {field} {brief(value, 60)}; expected a text.")
    return value


def _boxes(rows: Any, path: Path) -> list[tuple[float, ...]]:
    """(left, top, right, bottom) as they stand there."""
    sides = ("x1", "y1", "x2", "y2")
    try:
        return [tuple(float(getattr(one, side)) for side in sides) for one in _list(rows)]
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{path}: no HICO-DET: a box lacks one of {', '.join(sides)} as a number.") from None


def _side(size: Any, name: str) -> int | None:
    value = _number(getattr(size, name, None))
    return value if value is not None and value > 0 else None


def _number(value: Any) -> int | None:
    """A whole number, of whatever type MATLAB saved it as."""
    return whole_number(value.item() if isinstance(value, np.generic) else value)
