"""Reads the JSON of interactions that PPDM, HOI-A and most files of HICO-DET beyond MATLAB have:

    [{"file_name": "1.jpg",
      "annotations": [{"bbox": [left, top, right, bottom], "category_id": 1}, ...],
      "hoi_annotation": [{"subject_id": 0, "object_id": 1, "category_id": 76}, ...]}, ...]

Subjects and objects are places in "annotations", from 0; an object_id of -1 says that the verb has none. Numbers may be
text with an end of line, as some of these files have them. PPDM counts other negative numbers from the end of the list,
which is never meant: they are faults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.hoi_names import Names, names_of
from centernet_tf.datasets.hoi_pairs import Pairs, read_box, read_json, told, whole_number
from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out, number_images
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.properties.interactions import Interactions

KEYS = ("annotations", "hoi_annotation")


def read(
    annotations: str | Path,
    images: str | Path,
    *,
    names: Names | None = None,
    trained: str | Path | None = None,
    one_based: bool = False,
    outside: bool = False,
) -> Split:
    """Reads the annotations of a split; images are not opened.

    Args:
        annotations: The JSON, such as test_hico.json.
        images: Folder that the file names start from.
        names: What the numbers mean; HICO-DET's by default.
        trained: JSON of the training set that belongs to this one, whose pairs are counted: kinds of pairs that it has
            few of are called rare in scores.
        one_based: Whether the first pixel of an image is 1, as in HICO-DET's files.
        outside: Also read images whose file_name is absolute or climbs out of the folder.

    Returns:
        The class names, the images in the order of the file, and the property interactions.

    Raises:
        UsageError: A file or the folder is missing.
        DataError: A JSON is damaged or not of this format.
    """
    path, folder, names = Path(annotations), Path(images), names or names_of()
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of images.")
    content = _load(path)
    numbers = number_images([Path(one["file_name"]).stem for one in content])
    items = [
        _item(place, number, one, folder, names, 1.0 if one_based else 0.0, outside)
        for place, (number, one) in enumerate(zip(numbers, content))
    ]
    counts = {} if trained is None else count_kinds(Path(trained), names)
    told_of = Interactions(verbs=tuple(names.verbs.values()), trained=counts)
    return Split(tuple(names.classes.values()), items, (told_of,))


def count_kinds(path: Path, names: Names) -> dict[str, dict[str, int]]:
    """Pairs of each verb and class of its object in a JSON; those that cannot be read do not count."""
    counts: dict[str, dict[str, int]] = {}
    for image in _load(path):
        classes = [names.classes.get(_category(one)) for one in image["annotations"]]
        for pair in image["hoi_annotation"]:
            verb, partner = names.verbs.get(_category(pair)), whole_number(pair.get("object_id"))
            if verb is None or partner is None or not -1 <= partner < len(classes):
                continue
            label = "" if partner < 0 else classes[partner]
            if label is not None:
                own = counts.setdefault(verb, {})
                own[label] = own.get(label, 0) + 1
    return counts


def _load(path: Path) -> list[dict[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list):
        keys = f" with {', '.join(map(str, content))[:120]}" if isinstance(content, dict) else ""
        raise DataError(
            f"{path}: holds {type(content).__name__}{keys}; expected a list of images with file_name, annotations and "
            "hoi_annotation, as PPDM's files have it."
        )
    for place, one in enumerate(content, start=1):
        whole = isinstance(one, dict) and isinstance(one.get("file_name"), str)
        for key in KEYS:
            rows = one.get(key) if whole else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise DataError(
                    f"{path}: image {place} of {len(content)} is {brief(one, 120)}; expected a file_name and lists of "
                    f"objects {' and '.join(KEYS)}."
                )
    return content


def _category(row: Mapping[str, Any]) -> int | None:
    return whole_number(row.get("category_id"))


def _item(
    place: int, number: int, content: Mapping[str, Any], folder: Path, names: Names, first: float, outside: bool
) -> Item:
    name, rows = content["file_name"], content["annotations"]
    pairs, verbs = Pairs(), list(names.verbs)
    for which, row in enumerate(content["hoi_annotation"], start=1):
        members = [row.get(key) for key in ("subject_id", "object_id")]
        where = told(f"hoi_annotation {which} of {name}", members[0], row.get("category_id"), members[1])
        subject, partner = map(whole_number, members)
        if subject is None or partner is None:
            pairs.refuse(f"{where}: expected places in 'annotations', from 0, as whole numbers")
        elif _category(row) not in names.verbs:
            known = f"{verbs[0]} to {verbs[-1]}" if verbs else "none"
            pairs.refuse(f"{where}: the verbs have the numbers {known}", "unknown verb")
        else:
            pairs.add(subject, partner, verbs.index(_category(row)))
    # Boxes that cannot be read keep their place, for pairs count them.
    boxes = [read_box(row.get("bbox")) or (float("nan"),) * 4 for row in rows]
    return Item(
        key=f"{place:08d}",
        image_id=number,
        source=folder / name,
        filename=name,
        boxes=np.array(boxes, np.float64).reshape(-1, 4) - first,
        classes=[names.classes.get(_category(row), f"category_id {brief(row.get('category_id'), 40)}") for row in rows],
        box_names=[f"annotation {which} of {name}" for which in range(len(rows))],
        rows=pairs.rows(),
        broken=OUTSIDE if leads_out(name) and not outside else None,
        **pairs.fields(),
    )
