"""Reads KITTI's object benchmark: folders image_2, calib and label_2, and split files that list names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from centernet_tf.datasets.items import Item, Split, number_images
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.reading import is_file
from centernet_tf.host.reading import read_lines as read_text_lines
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.cameras import read_camera
from centernet_tf.properties.boxes3d.kitti_files import Lines, read_lines, with_orientations
from centernet_tf.properties.boxes3d.records import OCCLUSIONS, from_columns
from centernet_tf.properties.property import Fault, Rows

CLASSES = ("Pedestrian", "Car", "Cyclist")  # in the original's order
# What looks like a class, so that a detector is neither praised nor blamed for it, as the original trains.
IGNORED = {"Van": "Car", "Truck": "Car", "Person_sitting": "Pedestrian"}
UNKNOWN = -1  # of truncated and occluded
NOBODY = "DontCare"  # regions in which nothing was labelled


def read(root: str | Path, names: str | Path | None = None, *, classes: Sequence[str] | None = None) -> Split:
    """Reads the labels and cameras of a split; images are not opened.

    Objects of `IGNORED` become ignored ones of their class unless they are among the classes themselves, DontCare
    ignored ones of all classes; objects of further classes (Tram, Misc) are left out and counted. An alpha of -10,
    which other programs write for "unknown", is taken from rotation_y and location.

    Args:
        root: The folder "training", or the one above it.
        names: A text file with the name of an image on each line, such as the lists of the 3DOP and SubCNN splits;
            None takes all images with a label file.
        classes: Names in the order of the class numbers; by default Pedestrian, Car, Cyclist, as the original.

    Returns:
        The class names, the images sorted by name, and the property boxes3d. Ids are the numbers in the file names.

    Raises:
        UsageError: A folder or the list is missing, or the list names no image.
        DataError: The list names an image twice.
    """
    root = _folder(Path(root))
    labels = {path.stem: path for path in (root / "label_2").glob("*.txt")}
    images = {path.stem: path for path in sorted((root / "image_2").iterdir()) if path.suffix.lower() in SUFFIXES}
    stems = sorted(labels) if names is None else _listed(Path(names))
    if not stems:
        raise UsageError(f"{root / 'label_2' if names is None else names}: names no image.")
    known = sorted({*labels, *images, *stems})
    ids = dict(zip(known, number_images(known)))
    wanted = CLASSES if classes is None else tuple(classes)
    items = []
    for stem in stems:
        image = images.get(stem, root / "image_2" / f"{stem}.png")
        items.append(_to_item(stem, ids[stem], image, root, wanted))
    return Split(wanted, items, (Boxes3d(),))


def _folder(root: Path) -> Path:
    for folder in (root, root / "training"):
        if all((folder / part).is_dir() for part in ("image_2", "calib", "label_2")):
            return folder
    missing = [part for part in ("image_2", "calib", "label_2") if not (root / part).is_dir()]
    raise UsageError(
        f"{root}: no folder {', '.join(missing)}. Expected KITTI's image_2, calib and label_2, or the folder "
        "'training' with these."
    )


def _listed(path: Path) -> list[str]:
    if not path.is_file():
        raise UsageError(f"{path}: no such list. Give a text file with the name of an image on each line.")
    stems = [Path(line.strip()).stem for line in read_text_lines(path, DataError) if line.strip()]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise DataError(f"{path}: {twice[0]} is listed more than once. Remove the repeated line.")
    return sorted(stems)


def _to_item(stem: str, image_id: int, image: Path, root: Path, classes: tuple[str, ...]) -> Item:
    label, calibration = root / "label_2" / f"{stem}.txt", root / "calib" / f"{stem}.txt"
    item = {"key": stem, "image_id": image_id, "source": image, "filename": image.name}
    try:
        camera = read_camera(calibration)
        if not is_file(label):
            raise UsageError(f"{label}: no such label file.")
        lines = read_lines(label)
    except (DataError, UsageError) as error:
        fault = Fault("annotation not readable", str(error).rstrip("."))
        return Item(**item, boxes=np.zeros((0, 4)), classes=[], broken=fault)
    return Item(**item, **objects(lines, classes, camera, label.name))


def objects(
    lines: Lines, classes: Sequence[str], camera: np.ndarray, name: str, further: Rows = MappingProxyType({})
) -> dict[str, Any]:
    """What an `Item` says of the objects of an image.

    Args:
        lines: Its labels.
        classes: Names in the order of the class numbers.
        camera: [3, 4] of the image.
        name: Of the label file, for reports.
        further: What else is known of each line, {field: [N, ...]}.
    """
    numbers, ignored, kept, faults = [], [], [], []
    left_out: Counter[str] = Counter()
    for index, kind in enumerate(lines.names):
        meant = kind if kind in classes else IGNORED.get(kind)
        if meant not in classes and kind != NOBODY:
            left_out["class not chosen"] += 1
            continue
        if fault := _fault(lines, index, name):
            faults.append(fault)
            continue
        kept.append(index)
        numbers.append(classes.index(meant) if meant in classes else -1)
        ignored.append(kind not in classes)
    return {
        "boxes": lines.boxes[kept].reshape(-1, 4),
        "classes": numbers,
        "ignored": ignored,
        "names": [lines.names[index] for index in kept],
        "rows": {
            "camera": camera,
            **from_columns(with_orientations(lines.boxes3d[kept].reshape(-1, 8))),
            "truncated": np.where(lines.truncated[kept] == UNKNOWN, 0, lines.truncated[kept]),
            "occluded": np.where(lines.occluded[kept] == UNKNOWN, 3, lines.occluded[kept]).astype(np.int32),
            **{field: values[kept] for field, values in further.items()},
        },
        "box_names": [f"line {lines.places[index]} of {name}" for index in kept],
        "faults": tuple(faults),
        "left_out": dict(left_out),
    }


def _fault(lines: Lines, index: int, name: str) -> Fault | None:
    """What is wrong with the columns of a line that only KITTI has; a shifted column shows in them."""
    truncated, occluded = lines.truncated[index], lines.occluded[index]
    where = f"line {lines.places[index]} of {name}"
    if truncated != UNKNOWN and not 0 <= truncated <= 1:
        detail = f"{where} has truncated {truncated:g}; expected a fraction from 0 to 1, or {UNKNOWN} for unknown"
        return Fault("truncated out of range", detail)
    if occluded not in (UNKNOWN, *OCCLUSIONS):
        detail = f"{where} has occluded {occluded:g}; expected 0, 1, 2, 3, or {UNKNOWN} for unknown"
        return Fault("occluded out of range", detail)
    return None
