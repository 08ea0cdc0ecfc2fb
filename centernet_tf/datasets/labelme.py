"""Reads LabelMe, and X-AnyLabeling, which writes the same: a JSON file for each image, beside it or elsewhere."""

import base64
import binascii
import dataclasses
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.coco_masks import ImageMasks
from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out, number_images
from centernet_tf.datasets.labelme_shapes import Choice, Found, gather
from centernet_tf.errors import UsageError, brief
from centernet_tf.host.reading import is_file, is_folder
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.property import Fault

LARGEST_SIDE = 10**6  # pixels
IGNORED = "__ignore__"  # LabelMe's label of what is neither an object nor background

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Files:
    """Where files are.

    Attributes:
        root: The folder of the annotations.
        images: That of the images; None where each is where its annotation says.
        outside: Whether images outside these are read.
    """

    root: Path
    images: Path | None
    outside: bool


class Items(Sequence[Item]):
    """The images; what lies inside an annotation file is read when its image is asked for.

    Args:
        items: In order.
        embedded: The annotation file that holds the image, for those without a file of their own, by place.
    """

    def __init__(self, items: Sequence[Item], embedded: Mapping[int, Path]) -> None:
        self._items, self._embedded = items, embedded

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        item = self._items[index]
        if index not in self._embedded:
            return item
        return dataclasses.replace(item, source=_image_inside(self._embedded[index]))


def read(
    root: str | Path,
    images: str | Path | None = None,
    *,
    classes: Sequence[str] | None = None,
    masks: bool = False,
    skeleton: Skeleton | None = None,
    outside: bool = False,
) -> Split:
    """Reads all JSON files of a folder, and of those in it; images are not opened.

    Args:
        root: The folder of the JSON files.
        images: Folder of the images; by default each is where its file says (imagePath), beside it, or inside it
            (imageData).
        classes: Names in the order of the class numbers; by default all labels of objects, sorted. An object with
            another is a fault, but for `IGNORED`.
        masks: Keep polygons, circles and masks in a property masks.
        skeleton: Names of the points that are keypoints of the object with their group_id.
        outside: Also read images that a file names outside the folder of the JSON files.

    Returns:
        The class names, the images sorted by the path of their JSON, and the properties masks and keypoints where they
        are wanted. Ids are the digits of the file names where these tell all images apart, else positions from 1.

    Raises:
        UsageError: A folder is missing, there is no JSON file or no object, or no mask where masks are wanted.
    """
    files = _Files(Path(root), None if images is None else Path(images), outside)
    for folder in filter(None, (files.root, files.images)):
        if not is_folder(folder):
            raise UsageError(f"{folder}: no such folder.")
    paths = sorted(files.root.rglob("*.json"), key=lambda path: path.relative_to(files.root).as_posix())
    if not paths:
        raise UsageError(f"{files.root}: no JSON files. Give the folder in which LabelMe saves its annotations.")
    choice = Choice(masks, skeleton)
    numbers = number_images([path.stem for path in paths])
    items, embedded = [], {}
    for place, (path, number) in enumerate(zip(paths, numbers)):
        item, inside = _to_item(path, number, files, choice)
        items.append(item)
        if inside:
            embedded[place] = path
    names = tuple(classes or sorted({label for item in items for label in item.classes if label}))
    if not names:
        faults = [fault.detail for item in items for fault in (item.broken, *item.faults) if fault]
        first = f" The first: {faults[0]}." if faults else ""
        raise UsageError(f"{files.root}: none of its {len(paths)} JSON files has a shape with a box.{first}")
    if masks and not any(any(item.rows["segmentations"]) for item in items if not item.broken):
        raise UsageError(f"{files.root}: has no polygons and no masks. Leave the masks out.")
    _tell_spare_images(items, files)
    properties = [*([Masks()] if masks else []), *([Keypoints(skeleton=skeleton)] if skeleton else [])]
    return Split(names, Items(items, embedded), tuple(properties))


def _to_item(path: Path, number: int, files: _Files, choice: Choice) -> tuple[Item, bool]:
    """An image, and whether it is inside its annotation file."""
    key = path.relative_to(files.root).as_posix()
    common = {"key": key, "image_id": number}
    content = _load(path)
    if isinstance(content, Fault):
        empty = {"boxes": np.zeros((0, 4)), "classes": []}
        return Item(source=path, filename=key, broken=content, **empty, **common), False
    size = _side(content.get("imageWidth")), _side(content.get("imageHeight"))
    own = ImageMasks(None if None in size else size)
    found = gather(content["shapes"], path.name, choice, own)
    source, inside, broken = _source(content, path, files)
    item = Item(
        source=source,
        filename=(Path(key).parent / source.name).as_posix(),
        boxes=np.array(found.boxes, np.float64).reshape(-1, 4),
        classes=["" if label == IGNORED else label for label in found.classes],
        ignored=[label == IGNORED for label in found.classes],
        rows=_rows(found, choice),
        width=size[0],
        height=size[1],
        box_names=found.places,
        faults=tuple(found.faults),
        left_out=dict(found.left_out),
        broken=broken,
        counts={Masks.name: own.counts} if choice.masks else {},
        **common,
    )
    return item, inside


def _load(path: Path) -> dict[str, Any] | Fault:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # also what is not UTF-8
        return Fault("annotation not readable", f"{path} is not readable as JSON ({error})")
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return Fault("annotation not readable", f"{path} holds {brief(content)}; expected a list 'shapes'")
    return content


def _rows(found: Found, choice: Choice) -> dict[str, np.ndarray]:
    rows = ImageMasks.rows(found.masks) if choice.masks else {}
    if choice.skeleton:
        stacked = np.array(found.keypoints).reshape(-1, len(choice.skeleton.keypoints), 3)
        rows |= {"keypoints": stacked[..., :2], "keypoint_labels": stacked[..., 2].astype(np.int32)}
    return rows


def _source(content: Mapping[str, Any], path: Path, files: _Files) -> tuple[Path, bool, Fault | None]:
    """The image's file, whether it is inside the annotation file instead, and why it is not read."""
    told = content.get("imagePath")
    name = told.replace("\\", "/") if isinstance(told, str) and told.strip() else path.stem
    own = path.relative_to(files.root).parent
    if files.images is not None:
        bases = [files.images / own, files.images]
        places = [base / one for base in bases for one in _names(Path(name).name, path.stem)]
    else:
        places = [path.parent / one for one in _names(Path(name).name, path.stem)]
        if files.outside or not leads_out(str(own / name)):
            places = [Path(os.path.normpath(path.parent / name)), *places]
        elif not any(map(is_file, places)) and not isinstance(content.get("imageData"), str):
            return path.parent / Path(name).name, False, OUTSIDE
    source = next(filter(is_file, places), None)
    return source or places[0], source is None and isinstance(content.get("imageData"), str), None


def _names(name: str, stem: str) -> Iterable[str]:
    """What an image beside its annotation may be called: as it says, or as the annotation file is after a renaming."""
    return (name, *(stem + suffix for suffix in SUFFIXES))


def _image_inside(path: Path) -> bytes:
    """The image in an annotation file; nothing, which the writer tells, where it is damaged."""
    try:
        return base64.b64decode(json.loads(path.read_bytes())["imageData"])
    except (OSError, ValueError, TypeError, KeyError, binascii.Error):
        return b""


def _side(value: Any) -> Any:
    """Pixels; None where nothing is told."""
    return value if type(value) is int and 0 < value <= LARGEST_SIDE else None


def _tell_spare_images(items: Sequence[Item], files: _Files) -> None:
    used = {os.path.normpath(item.source) for item in items}
    there = sorted(path for path in (files.images or files.root).rglob("*") if path.suffix.lower() in SUFFIXES)
    if spare := [path for path in there if os.path.normpath(path) not in used]:
        _logger.warning(
            "%d images, such as %s, have no JSON file and are left out. Save one for those that show no object.",
            len(spare),
            spare[0],
        )
