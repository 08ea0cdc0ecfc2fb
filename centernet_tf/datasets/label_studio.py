"""Reads Label Studio's export as JSON: a list of tasks, each an image with what people drew on it.

Rectangles are in percent of the image, from their upper left corner. Those that are turned have no upright box and are
left out, and so are regions of other kinds (polygons, brushes, keypoints, ...); all are counted.
"""

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from centernet_tf.datasets.items import Item, Split
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.host.reading import is_file, is_folder, is_text
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault

LARGEST_SIDE = 10**6  # pixels
LARGEST = 1000  # percent; a box may reach over the edge, but not as far as this
MOST_DIGITS = 18  # of a task's number, as COCO's
MOST_FOLDERS = 20  # of an address that are looked for
NO_ANGLE = 1e-6  # degrees

SHAPE = ("x", "y", "width", "height")
# Both are rectangles: the labels of one tag, and those that a tag of their own gives to plain rectangles.
LABELS = ("rectanglelabels", "labels")
OTHERS = ("polygon", "brush", "keypoint", "ellipse", "vector", "bitmask", "video")

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the names of uploaded files
_logger = logging.getLogger(__name__)


class _Task(NamedTuple):
    """A task that somebody annotated.

    Attributes:
        number: From 1.
        content: As the JSON has it.
        regions: Of the annotation that is taken.
        spare: How many regions other people drew.
    """

    number: int
    content: Mapping[str, Any]
    regions: Sequence[Any]
    spare: int


@dataclass
class _Found:
    """The objects of an image; boxes are left, top, right, bottom in 0..1."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read(path: str | Path, images: str | Path | None = None, *, classes: Sequence[str] | None = None) -> Split:
    """Reads the tasks of an export; images are not opened.

    Of a task that several people annotated, the annotation that is marked as ground truth is taken, else the one that
    was changed last; regions of the others are counted as left out. Tasks that nobody annotated, or that were skipped,
    are left out and told; an annotation without regions says that the image shows no object. A rectangle with several
    labels is an object of each.

    Args:
        path: The JSON.
        images: Folder of the images; by default "images" beside the JSON, or the JSON's own. In it, an image has the
            path of its address in Label Studio or the end of that, at least its name, also without the eight letters
            that an upload puts before it. Nothing outside the folder is read.
        classes: Names in the order of the class numbers; by default all labels, sorted. A box with another is a fault.

    Returns:
        The class names, and the images in the order of the export. Their ids are those of the tasks, or positions from
        1 where these are not all different whole numbers.

    Raises:
        UsageError: The file or the folder is missing, or there is no annotated task or no box.
        DataError: The file is damaged, or not of this format.
    """
    path = Path(path)
    contents = _load(path)
    folder = _folder(path, images)
    tasks = [task for number, one in enumerate(contents, 1) if (task := _annotated(number, one, path))]
    if not tasks:
        raise UsageError(f"{path}: none of its {len(contents)} tasks is annotated.")
    if spare := len(contents) - len(tasks):
        _logger.warning("%s: %d of %d tasks have no annotation and are left out.", path, spare, len(contents))
    numbers = _numbers(tasks)
    items = [_to_item(task, number, folder) for task, number in zip(tasks, numbers)]
    names = tuple(classes or sorted({label for item in items for label in item.classes}))
    if not names:
        reasons = sorted({reason for item in items for reason in item.left_out})
        told = f" There are: {', '.join(reasons)}." if reasons else ""
        raise UsageError(f"{path}: none of its {len(tasks)} annotations has an upright rectangle with a label.{told}")
    return Split(names, items)


def _load(path: Path) -> list[Mapping[str, Any]]:
    if not is_file(path):
        raise UsageError(f"{path}: no such file of annotations. Export the project as JSON.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise DataError(f"{path}: not readable as JSON ({error}). Export it again.") from error
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise DataError(f"{path}: holds {brief(content, 120)}; expected a list of tasks. Export the project as JSON.")
    for number, one in enumerate(content, start=1):
        if not isinstance(one.get("data"), dict):
            hint = " This is JSON-MIN; export the project as JSON instead." if "annotation_id" in one else ""
            raise DataError(f"{path}: task {number} of {len(content)} has no 'data' with an image.{hint}")
    return content


def _folder(path: Path, images: str | Path | None) -> Path:
    if images is None:
        return path.parent / "images" if is_folder(path.parent / "images") else path.parent
    if not is_folder(Path(images)):
        raise UsageError(f"{images}: no such folder of images.")
    return Path(images)


def _annotated(number: int, content: Mapping[str, Any], path: Path) -> _Task | None:
    """A task with the annotation that is taken; None where there is none."""
    given = content.get("annotations", content.get("completions"))  # as versions before 1.0 call them
    given = [] if given is None else given
    valid = isinstance(given, list) and all(isinstance(one, dict) for one in given)
    if not valid or not all(isinstance(one.get("result"), list) for one in given):
        raise DataError(
            f"{path}: task {number} has the annotations {brief(given, 120)}; expected each with a 'result'."
        )
    kept = [one for one in given if not one.get("was_cancelled") and not one.get("skipped")]
    if not kept:
        return None
    best = max(
        kept, key=lambda one: (one.get("ground_truth") is True, str(one.get("updated_at", one.get("created_at"))))
    )
    spare = sum(len(one["result"]) for one in kept if one is not best)
    return _Task(number, content, best["result"], spare)


def _numbers(tasks: Sequence[_Task]) -> list[int]:
    ids = [task.content.get("id") for task in tasks]
    usable = all(type(one) is int and abs(one) < 10**MOST_DIGITS for one in ids)
    return ids if usable and len(set(ids)) == len(ids) else list(range(1, len(ids) + 1))


def _to_item(task: _Task, image_id: int, folder: Path) -> Item:
    found = _Found()
    labelled = {str(one.get("id")) for one in _regions(task) if one.get("type") == "labels"}
    for number, region in enumerate(task.regions, start=1):
        _take(region, f"region {number} of task {task.number}", labelled, found)
    if task.spare:
        found.left_out["of another annotation"] += task.spare
    address = _address(task.content["data"])
    source, name = _file_of(address or "", folder)
    told = f"task {task.number} has the data {brief(task.content['data'], 120)}; expected the address of an image"
    size = next(filter(all, map(_size, _regions(task))), (None, None))
    return Item(
        key=f"{task.number:09d}",
        image_id=image_id,
        source=source,
        filename=name or f"task {task.number}",
        boxes=np.array(found.boxes, np.float64).reshape(-1, 4),
        classes=found.classes,
        width=size[0],
        height=size[1],
        normalised=True,
        box_names=found.places,
        faults=tuple(found.faults),
        left_out=dict(found.left_out),
        broken=None if name else Fault("no image", told),
    )


def _regions(task: _Task) -> Iterator[Mapping[str, Any]]:
    return (one for one in task.regions if isinstance(one, dict))


def _size(region: Mapping[str, Any]) -> tuple[Any, ...]:
    """Width and height of the image as a region tells them; None for what it does not."""
    sides = region.get("original_width"), region.get("original_height")
    return tuple(side if type(side) is int and 0 < side <= LARGEST_SIDE else None for side in sides)


def _take(region: Any, place: str, labelled: set[str], found: _Found) -> None:
    """Adds what a region says; choices, texts and relations, which are no regions of the image, say nothing here."""
    kind = region.get("type") if isinstance(region, dict) else None
    if not isinstance(kind, str):
        found.faults.append(Fault("annotation not readable", f"{place} is {brief(region)}; expected a 'type'"))
        return
    other = next((name for name in OTHERS if kind.startswith(name)), None)
    if other:
        found.left_out[other] += 1
    elif kind == "rectangle" and str(region.get("id")) not in labelled:
        found.left_out["rectangle without label"] += 1
    elif kind in LABELS:
        _take_rectangle(region, kind, place, found)


def _take_rectangle(region: Mapping[str, Any], kind: str, place: str, found: _Found) -> None:
    value = region.get("value")
    numbers = [value.get(name) for name in SHAPE] if isinstance(value, dict) else [None]
    if kind == "labels" and isinstance(value, dict) and not set(SHAPE) <= set(value):
        return  # those of a polygon or the like, which is counted itself
    labels = value.get(kind) if isinstance(value, dict) else None
    turns = [value.get("rotation") or 0, region.get("image_rotation") or 0] if isinstance(value, dict) else []
    if not all(map(_is_number, [*numbers, *turns])) or not all(map(math.isfinite, turns)):
        detail = f"{place} has the value {brief(value, 120)}; expected numbers for {', '.join(SHAPE)} and rotation"
        found.faults.append(Fault("annotation not readable", detail))
    elif any(abs(number) > LARGEST for number in numbers):
        detail = f"{place} has {brief(numbers, 120)}; expected percent of the image, from 0 to 100"
        found.faults.append(Fault("annotation not readable", detail))
    elif not isinstance(labels, list) or not all(
        isinstance(one, str) and one.strip() and is_text(one) for one in labels
    ):
        found.faults.append(Fault("annotation not readable", f"{place} has the labels {brief(labels)}; expected names"))
    elif not labels:
        found.left_out["rectangle without label"] += 1
    elif any(abs(math.remainder(angle, 360)) > NO_ANGLE for angle in turns):
        found.left_out["rotated rectangle" if turns[0] else "rectangle on a rotated image"] += len(labels)
    else:
        x, y, width, height = (number / 100 for number in numbers)
        found.boxes += [(x, y, x + width, y + height)] * len(labels)
        found.classes += [label.strip() for label in labels]
        found.places += [place] * len(labels)


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1e300)


def _address(data: Mapping[str, Any]) -> str | None:
    """The image among a task's data: under the name that Label Studio's own templates have, or what looks like one."""
    named = data.get("image")
    if isinstance(named, str):
        return named
    texts = (one for one in data.values() if isinstance(one, str))
    return next((one for one in texts if _path(one).lower().endswith(SUFFIXES)), None)


def _path(address: str) -> str:
    """The path of an address: of a local file it is in the query, ?d=folder/a.jpg."""
    try:
        parts = urlsplit(address)
        return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    except ValueError:
        return ""


def _file_of(address: str, folder: Path) -> tuple[Path, str]:
    """The image in the folder: the longest end of its path that is there; and what to call it, "" for no address."""
    parts = [part for part in re.split(r"[\\/]", _path(address)) if part not in ("", ".", "..")][-MOST_FOLDERS:]
    if not parts:
        return folder, ""
    ends = ["/".join(parts[first:]) for first in range(len(parts))]
    found = next((end for end in (*ends, _UPLOADED.sub("", parts[-1])) if is_file(folder / end)), parts[-1])
    return folder / found, found
