"""Reads COCO instances and keypoints: one JSON with images, annotations and categories, and a folder of images."""

import dataclasses
import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.datasets import coco_videos
from centernet_tf.datasets.coco_keypoints import KeypointLayout, describe, is_number, keypoint_layout
from centernet_tf.datasets.coco_masks import ImageMasks
from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out
from centernet_tf.errors import DataError, UsageError, brief, closest
from centernet_tf.host.reading import is_text
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.property import Fault, Property
from centernet_tf.properties.tracks import Tracks

# An image's id is one number in result files, whose readers hold it as int64 or, of JSON, as a double.
MOST_DIGITS = 18


def read(
    annotations: str | Path,
    images: str | Path,
    *,
    classes: Sequence[str] | None = None,
    skeleton: Skeleton | None = None,
    keypoints: str | Path | None = None,
    masks: bool = False,
    annotated_only: bool = False,
    outside: bool = False,
) -> Split:
    """Reads the annotations of a split; images are not opened.

    Class numbers follow the category ids in ascending order: COCO's own 80 categories, 1 to 90 with gaps, become 0 to
    79. Crowd regions are kept and marked. Images without annotations are kept: they show none of the classes. Of a JSON
    with "videos", as CenterTrack's converters write it, images are the frames of those, annotations have identities
    (track_id), and those of category 0 or -1 are ignored objects.

    Args:
        annotations: The JSON, such as instances_train2017.json.
        images: Folder that the file names of the JSON start from.
        classes: Names of the categories to keep, in the order of the class numbers; all by default. Boxes of the
            others are counted as left out.
        skeleton: Of the keypoints; by default the one the JSON tells, see `coco_keypoints.keypoint_layout`.
        keypoints: A second JSON of the same objects, by annotation id, that has the keypoints, such as
            person_keypoints_train2017.json beside instances_train2017.json.
        masks: Keep the masks of annotations, polygons or run lengths, in a property masks.
        annotated_only: Leave out images without an annotation of the classes, as the original does where it trains
            keypoints, and only there.
        outside: Also read images whose file_name is absolute or climbs out of the folder.

    Returns:
        The class names, the images in the order of their ids, or of their places in videos, and the properties
        keypoints and tracks where there are some, and masks where they are wanted.

    Raises:
        UsageError: A JSON or the folder is missing, a class is not among the categories, or the skeleton does not fit.
        DataError: A JSON is damaged, or not of this format.
    """
    path, images = Path(annotations), Path(images)
    if not images.is_dir():
        raise UsageError(f"{images}: no such folder of images.")
    content = _load(path)
    names = _category_names(content["categories"], path)
    wanted = tuple(names.values()) if classes is None else _chosen(classes, list(names.values()), path)
    if keypoints is not None:
        _take_keypoints(content, Path(keypoints))
    layout = keypoint_layout([row for row in content["categories"] if str(row["name"]) in wanted], skeleton, path)
    _check_keypoints(content["annotations"], names, wanted, layout, path)
    listed, rows_of = _by_image(content, path)
    if masks and not any(row.get("segmentation") for row in content["annotations"]):
        raise UsageError(f"{path}: none of its annotations has a segmentation. Leave the masks out, or give another.")
    kept = [number for number, name in names.items() if name in wanted]
    chosen = _Chosen(names, wanted, layout, masks, outside)
    places, items = coco_videos.places(content, path), []
    for number in sorted({*listed, *rows_of}, key=lambda one: (places[one].key if one in places else "", one)):
        if annotated_only and not any(row.get("category_id") in kept for row in rows_of[number]):
            continue
        if number in listed:
            item = _to_item(listed[number], rows_of[number], images, chosen, number in places)
            items.append(_in_video(item, places[number]) if number in places else item)
        else:
            items.append(_unlisted(number, rows_of[number], path))
    properties = [
        *([Keypoints(skeleton=layout.skeleton)] if layout else []),
        *([Tracks()] if places else []),
        *([Masks()] if masks else []),
    ]
    return Split(wanted, items, tuple(properties))


def _in_video(item: Item, place: coco_videos.Place) -> Item:
    return dataclasses.replace(item, key=place.key, video=place.video, frame=place.frame)


def assumptions(properties: Sequence[Property]) -> list[str]:
    """Lines for people on what `read` took from the JSON that it does not quite say, such as pairs of keypoints."""
    return [line for one in properties if isinstance(one, Keypoints) for line in describe(one.skeleton)]


def _check_keypoints(
    rows: list[dict[str, Any]],
    names: dict[int, str],
    wanted: tuple[str, ...],
    layout: KeypointLayout | None,
    path: Path,
) -> None:
    """Warns of keypoints that cannot be kept, for nothing tells what they are."""
    placed = layout.places if layout else {}
    categories = (row.get("category_id") for row in rows if row.get("keypoints"))
    # What is no category's id is told where the annotation is read.
    unplaced = Counter(names.get(one) for one in categories if isinstance(one, int) and one not in placed)
    lost = {name: count for name, count in unplaced.items() if name in wanted}
    if lost:
        listed = ", ".join(f"{count} of {name}" for name, count in lost.items())
        warnings.warn(
            f"{path}: keypoints of annotations are left out ({listed}): their category names no keypoints. Name them "
            "in a YAML file, --skeleton FILE, to keep them.",
            stacklevel=3,
        )


def _take_keypoints(content: dict[str, Any], path: Path) -> None:
    """Copies keypoints of categories and annotations from a second JSON, in place."""
    second = _load(path)
    for what, keys in (("categories", ("keypoints", "skeleton")), ("annotations", ("keypoints",))):
        rows = {row["id"]: row for row in second[what] if _is_id(row.get("id"))}
        found = 0
        for row in content[what]:
            other = rows.get(row["id"], {}) if _is_id(row.get("id")) else {}
            found += "keypoints" in other
            row.update({key: other[key] for key in keys if key in other})
        if not found:
            raise UsageError(f"{path}: none of its {what} with keypoints has the id of one in the first JSON.")


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file of annotations. Give the JSON, such as instances_train2017.json.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise DataError(f"{path}: not readable as JSON ({error}). Copy it again.") from error
    for key in ("images", "annotations", "categories"):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(
                f"{path}: no list {key!r}. Expected COCO instances with 'images', 'annotations' and 'categories'."
            )
    for row in content["images"]:
        if not _is_id(row.get("id")) or not isinstance(row.get("file_name"), str):
            raise DataError(
                f"{path}: image {brief(row, 120)} needs an integer 'id' and a 'file_name'; ids have {MOST_DIGITS} "
                "digits at most."
            )
    return content


def _category_names(categories: list[dict[str, Any]], path: Path) -> dict[int, str]:
    """Names by category id, in ascending order of the ids."""
    for row in categories:
        named = isinstance(row.get("name"), str | int | float) and is_text(str(row["name"]))
        if not _is_id(row.get("id")) or not named or not str(row["name"]).strip():
            raise DataError(f"{path}: a category lacks an integer 'id' or a 'name': {brief(row, 120)}.")
    pairs = sorted((row["id"], str(row["name"])) for row in categories)
    if not pairs:
        raise DataError(f"{path}: 'categories' is empty; expected at least one.")
    for column, what in enumerate(("id", "name")):
        value, count = Counter(pair[column] for pair in pairs).most_common(1)[0]
        if count > 1:
            raise DataError(f"{path}: {count} categories have the {what} {value!r}; each needs its own.")
    return dict(pairs)


def _chosen(classes: Sequence[str], known: list[str], path: Path) -> tuple[str, ...]:
    for name in classes:
        if name not in known:
            raise UsageError(f"{path}: no category {name!r}.{closest(name, known)} It has: {', '.join(known[:100])}.")
    return tuple(classes)


def _by_image(content: dict[str, Any], path: Path) -> tuple[dict[int, dict[str, Any]], dict[int, list[dict[str, Any]]]]:
    """Images by id, and annotations by the id of their image."""
    listed = {row["id"]: row for row in content["images"]}
    if len(listed) < len(content["images"]):
        number, count = Counter(row["id"] for row in content["images"]).most_common(1)[0]
        raise DataError(f"{path}: {count} images have the id {number}; each needs its own.")
    rows_of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in content["annotations"]:
        if not _is_id(row.get("image_id")):
            raise DataError(f"{path}: annotation {brief(row, 120)} needs an integer 'image_id'.")
        rows_of[row["image_id"]].append(row)
    return listed, rows_of


def _unlisted(number: int, rows: list[dict[str, Any]], path: Path) -> Item:
    fault = Fault("image not listed", f"{len(rows)} annotations of {path} are of this image, which it does not list")
    return Item(
        key=_key(number),
        image_id=number,
        source=path,
        filename=f"image {number}",
        boxes=np.zeros((0, 4)),
        classes=[],
        faults=(fault,) * len(rows),
        broken=fault,
    )


def _key(number: int) -> str:
    return f"{number + 2**63:020d}"  # ids may be negative, and keys are compared as text


class _Chosen(NamedTuple):
    """What is read of every image.

    Attributes:
        names: Of the categories, by id.
        classes: Names of those that are kept, in the order of the class numbers.
        layout: Of the keypoints; None where there are none.
        masks: Whether masks are kept.
        outside: Whether images outside their folder are read.
    """

    names: dict[int, str]
    classes: tuple[str, ...]
    layout: KeypointLayout | None
    masks: bool
    outside: bool


def _to_item(image: dict[str, Any], rows: list[dict[str, Any]], folder: Path, chosen: _Chosen, frame: bool) -> Item:
    names, wanted, layout = chosen.names, chosen.classes, chosen.layout
    size = _size(image.get("width")), _size(image.get("height"))
    own = ImageMasks(None if None in size else size) if chosen.masks else None
    boxes, classes, crowd, areas, keypoints, masks, tracks, places, faults = [], [], [], [], [], [], [], [], []
    left_out: dict[str, int] = defaultdict(int)
    for row in rows:
        place, box, category = f"annotation {brief(row.get('id'))}", _box(row.get("bbox")), row.get("category_id")
        name = names.get(category) if _is_id(category) else None
        ignored = frame and name is None and category in coco_videos.IGNORED
        if name is None and not ignored:
            detail = f"{place} has category_id {brief(category, 40)}, which is not among the categories"
            faults.append(Fault("unknown class", detail))
        elif not ignored and name not in wanted:
            left_out["class not chosen"] += 1
        elif box is None:
            detail = f"{place} has bbox {brief(row.get('bbox'))}; expected four numbers, x, y, width, height"
            faults.append(Fault("annotation not readable", detail))
        elif isinstance(points := layout.keypoints(row, place) if layout else None, Fault):
            faults.append(points)
        elif isinstance(mask := own.mask(row, place) if own else None, Fault):
            faults.append(mask)
        else:
            left, top, width, height = box
            area = row.get("area")
            boxes.append((left, top, left + width, top + height))
            areas.append(float(area) if is_number(area) else width * height)
            classes.append(-1 if ignored else wanted.index(name))
            tracks.append(coco_videos.identity(row))
            crowd.append(row.get("iscrowd", 0) in (1, "1", True))
            keypoints.append(points)
            masks.append(mask)
            places.append(place)
    return Item(
        key=_key(image["id"]),
        image_id=image["id"],
        source=folder / image["file_name"],
        filename=image["file_name"],
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        classes=classes,
        crowd=crowd,
        area=areas,
        ignored=[number < 0 for number in classes] if frame else None,
        rows={
            **(layout.rows(keypoints) if layout else {}),
            **({"track_ids": np.array(tracks, int)} if frame else {}),
            **(own.rows(masks) if own else {}),
        },
        width=size[0],
        height=size[1],
        box_names=places,
        faults=tuple(faults),
        left_out=dict(left_out),
        broken=OUTSIDE if leads_out(image["file_name"]) and not chosen.outside else None,
        counts={Masks.name: own.counts} if own else {},
    )


def _box(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != 4 or not all(is_number(value) for value in values):
        return None
    return tuple(float(value) for value in values)


def _is_id(value: Any) -> bool:
    return type(value) is int and abs(value) < 10**MOST_DIGITS


def _size(value: Any) -> int | None:
    return value if _is_id(value) and value > 0 else None
