"""Reads YOLO labels: for each image a text file, with a row `class cx cy width height` in 0..1 for each object.

The folders are those of ultralytics: a data.yaml names the classes and the image folder of each split, and the labels
lie where "images" in a path is replaced by "labels". A plain pair of folders with a list of classes works too. Where
the data.yaml has a `kpt_shape`, keypoints follow the box, see `yolo_pose`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from centernet_tf.datasets.items import Item, Split, leads_out, number_images
from centernet_tf.errors import DataError, UsageError, brief, closest
from centernet_tf.host.reading import is_file, is_folder, read_lines
from centernet_tf.host.strict_yaml import parse_file
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault, Property

if TYPE_CHECKING:  # labels without keypoints are read without that property, too
    from centernet_tf.datasets.yolo_pose import Pose
    from centernet_tf.properties.keypoints.skeleton import Skeleton

# A box may reach over the edge, but a value this large is a number of pixels.
LARGEST = 2.0

_CLASSES_FILE = "classes.txt"
_logger = logging.getLogger(__name__)
_ALIASES = {"val": ("val", "valid", "validation")}


@dataclass(frozen=True)
class _Source:
    """What to read: image folders or lists of images, the class names, and the `Pose` of columns after the box."""

    roots: tuple[Path, ...]
    classes: tuple[str, ...] = ()
    pose: "Pose | None" = None


def read(
    source: str | Path,
    split: str = "train",
    *,
    labels: str | Path | None = None,
    classes: Sequence[str] | None = None,
    skeleton: "Skeleton | None" = None,
    outside: bool = False,
) -> Split:
    """Reads the labels of a split; images are not opened.

    An image without a label file, or with an empty one, shows no object. A row of seven or more columns is a polygon,
    `class x y x y x y ...`, of which the surrounding box is taken; where data.yaml has a `kpt_shape`, keypoints follow
    the box instead, and those of a box alone are unlabelled. Boxes are of the image as viewers show it, EXIF
    orientation applied.

    Args:
        source: A data.yaml, or a folder of images.
        split: Which split of the data.yaml.
        labels: Folder of the label files; by default "labels" in place of "images" in the path of an image, or beside
            the image where there is no "images" in it.
        classes: Class names in the order of their numbers; by default those of data.yaml, or of classes.txt among the
            labels.
        skeleton: Of the keypoints, in the order of the columns; by default that of the data.yaml.
        outside: Also read images that a list names by absolute paths, or outside the list's folder.

    Returns:
        The class names, the images sorted by path, and the property keypoints where data.yaml has a `kpt_shape`. Ids
        are the digits of the file names where these tell all images apart, else positions from 1.

    Raises:
        UsageError: A file, folder or split is missing, no image has labels, nothing names the classes, or the skeleton
            does not fit.
        DataError: The data.yaml, a list of images or of classes cannot be understood.
    """
    source, folder = Path(source), Path(labels) if labels else None
    if folder and not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of labels.")
    found = _Source((source,)) if is_folder(source) else _read_yaml(source, split, skeleton)
    if skeleton is not None and found.pose is None:
        raise UsageError(f"{source}: has no 'kpt_shape', so that labels have no keypoints. Leave the skeleton out.")
    label_of, with_rows = _pair(found.roots, folder, source, outside)
    names = tuple(classes or found.classes or _classes_beside(with_rows[0].parent))
    if not names:
        raise UsageError(f"{source}: no class names. Give them in the order of their numbers.")
    _warn_of_spare_labels(with_rows, found.roots)
    paths = sorted(label_of, key=Path.as_posix)
    numbers = number_images([path.stem for path in paths])
    items = [
        _to_item(path, number, _read_rows(label_of[path], len(names), found.pose), found.pose)
        for path, number in zip(paths, numbers)
    ]
    return Split(names, items, (found.pose.property,) if found.pose else ())


def assumptions(properties: Sequence[Property]) -> list[str]:
    """Lines for people on the skeleton that `read` took from a data.yaml; none where labels have no keypoints."""
    if not properties:
        return []
    from centernet_tf.datasets.coco_keypoints import describe

    return [line for one in properties for line in describe(one.skeleton)]


def _pair(
    roots: Sequence[Path], folder: Path | None, source: Path, outside: bool
) -> tuple[dict[Path, Path], list[Path]]:
    """The label file of each image, and those label files that exist."""
    label_of = {path: _label_of(path, root, folder) for root in roots for path in _images_of(root, outside)}
    if not label_of:
        raise UsageError(f"{', '.join(map(str, roots))}: no images; known are files that end in {SUFFIXES}.")
    with_rows = [label for label in label_of.values() if is_file(label)]
    if not with_rows:
        first = min(label_of.values())
        raise UsageError(
            f"{source}: none of {len(label_of)} images has labels; looked for {first} and so on. "
            "Give the folder of the labels."
        )
    return label_of, with_rows


def _read_yaml(path: Path, split: str, skeleton: "Skeleton | None") -> _Source:
    if not is_file(path):
        raise UsageError(f"{path}: no such file or folder. Give a data.yaml or a folder of images.")
    try:
        content = parse_file(path)
    except (yaml.YAMLError, OSError) as error:
        raise DataError(f"{path}: not readable as YAML ({error}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected 'names', 'train' and 'val', got {brief(content)}.")
    key = next((name for name in _ALIASES.get(split, (split,)) if content.get(name)), None)
    if key is None:
        known = [name for name in ("train", "val", "valid", "test") if content.get(name)]
        raise UsageError(f"{path}: no split {split!r}. It has: {', '.join(known)}.{closest(split, known)}")
    entries = content[key] if isinstance(content[key], list) else [content[key]]
    base = path.parent / str(content.get("path") or "")
    return _Source(
        roots=tuple(_root_of(str(entry), base, path) for entry in entries),
        classes=_names_of(content, path),
        pose=_pose(content, skeleton, path),
    )


def _pose(content: dict[str, Any], skeleton: "Skeleton | None", path: Path) -> "Pose | None":
    if content.get("kpt_shape") is None:
        return None
    from centernet_tf.datasets.yolo_pose import read_pose

    return read_pose(content, skeleton, path)


def _names_of(content: dict[str, Any], path: Path) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        if {*names} != {*range(len(names))}:
            raise DataError(f"{path}: 'names' has the numbers {brief([*names])}; expected 0 to {len(names) - 1}.")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: 'names' is {brief(names)}; expected the class names in the order of their numbers.")
    if content.get("nc", len(names)) != len(names):
        raise DataError(f"{path}: 'nc' is {brief(content['nc'])}, but 'names' has {len(names)}. Correct one of them.")
    if odd := [name for name in names if isinstance(name, bool) or not isinstance(name, str | int | float)]:
        raise DataError(
            f"{path}: 'names' holds {brief(odd[0])}; expected text, with quotes around names that YAML takes for yes, "
            "no, dates or nothing."
        )
    return tuple(str(name) for name in names)


def _root_of(entry: str, base: Path, path: Path) -> Path:
    # Roboflow writes ../train/images where it means train/images beside the data.yaml.
    places = [base / entry, path.parent / entry, path.parent / entry.removeprefix("../")]
    for place in places:
        if is_file(place) or is_folder(place):
            return place
    raise UsageError(
        f"{path}: {entry!r:.80} does not exist; looked for {str(places[0])[:200]}. Correct 'path' or the entry."
    )


def _images_of(root: Path, outside: bool) -> list[Path]:
    if is_folder(root):
        return [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    if root.suffix.lower() in SUFFIXES:
        raise DataError(f"{root}: this is an image. Name its folder, or a text file with an image on each line.")
    rows = list(filter(None, (row.strip() for row in read_lines(root, DataError))))
    if odd := [row for row in rows if not row.lower().endswith(SUFFIXES)]:
        raise DataError(f"{root}: lists {odd[0]!r:.80}, which is no image; known are files that end in {SUFFIXES}.")
    if not outside and (far := [row for row in rows if leads_out(row)]):
        raise UsageError(
            f"{root}: lists {far[0]!r:.120}, which is outside the list's folder. Pass --outside to read such images, "
            "if you trust the list."
        )
    return [root.parent / row for row in rows]


def _label_of(image: Path, root: Path, folder: Path | None) -> Path:
    if folder is not None:
        inside = image.relative_to(root) if is_folder(root) else Path(image.name)
        return (folder / inside).with_suffix(".txt")
    parts = list(image.parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _classes_beside(folder: Path) -> tuple[str, ...]:
    path = folder / _CLASSES_FILE
    if not path.is_file():
        return ()
    return tuple(row.strip() for row in read_lines(path, DataError) if row.strip())


def _warn_of_spare_labels(used: Sequence[Path], roots: Sequence[Path]) -> None:
    if not all(is_folder(root) for root in roots):
        return  # lists of images pick from folders
    known = set(used)
    spare = sorted(
        path
        for folder in {path.parent for path in used}
        for path in folder.glob("*.txt")
        if path not in known and path.name != _CLASSES_FILE
    )
    if spare:
        _logger.warning(
            "%d label files, such as %s, belong to none of the images and are left out.", len(spare), spare[0]
        )


@dataclass
class _Rows:
    """The rows of one label file; boxes are left, top, right, bottom in 0..1, keypoints as `Pose.read` gives them."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    keypoints: list[np.ndarray] = field(default_factory=list)


def _read_rows(path: Path, num_classes: int, pose: "Pose | None") -> _Rows:
    rows = _Rows()
    if not is_file(path):
        return rows
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"line {number} of {path.name}"
        try:
            label, box, behind = _read_row(line.split(), pose.columns if pose else 0)
            keypoints = pose.read(behind) if pose else None
        except ValueError as error:
            rows.faults.append(Fault("annotation not readable", f"{place} {error}: {line.strip():.60}"))
            continue
        if not 0 <= label < num_classes:
            detail = f"{place} has class {label:g}, but there are {num_classes} classes, 0 to {num_classes - 1}"
            rows.faults.append(Fault("unknown class", detail))
            continue
        rows.boxes.append(box)
        rows.keypoints.append(keypoints)
        rows.classes.append(label)
        rows.places.append(place)
    return rows


def _read_row(columns: list[str], keypoint_columns: int) -> tuple[int, tuple[float, ...], list[float]]:
    """Class and box of a row, and the numbers of its keypoints.

    Raises:
        ValueError: What is wrong with the row.
    """
    try:
        label, *values = (float(column) for column in columns)
    except ValueError:
        raise ValueError("has a column that is not a number") from None
    if not label.is_integer():
        raise ValueError("has a class that is not an integer")
    behind: list[float] = []
    if keypoint_columns and len(values) != 4:
        # No polygons among keypoints: of a row that lacks a column, one would be made.
        if len(values) != 4 + keypoint_columns:
            raise ValueError(f"has {len(columns)} columns; expected {5 + keypoint_columns}, or 5 for a box alone")
        values, behind = values[:4], values[4:]
    if any(abs(value) > LARGEST for value in values):
        raise ValueError("has values in pixels; expected fractions from 0 to 1")
    if len(values) == 4:
        x, y, width, height = values
        return int(label), (x - width / 2, y - height / 2, x + width / 2, y + height / 2), behind
    if len(values) >= 6 and len(values) % 2 == 0:
        x, y = values[0::2], values[1::2]
        return int(label), (min(x), min(y), max(x), max(y)), behind
    raise ValueError(f"has {len(columns)} columns; expected 5, or an odd number from 7 for a polygon")


def _to_item(image: Path, number: int, rows: _Rows, pose: "Pose | None") -> Item:
    return Item(
        key=image.as_posix(),
        image_id=number,
        source=image,
        filename=image.name,
        boxes=np.array(rows.boxes, np.float64).reshape(-1, 4),
        classes=rows.classes,
        rows=pose.rows(rows.keypoints) if pose else {},
        normalised=True,
        box_names=rows.places,
        faults=tuple(rows.faults),
    )
