"""Masks in records: stored lists to rows and back, patches from run lengths, and what is wrong with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.properties.masks import files, runs
from centernet_tf.properties.property import Fault, Rows, Size

# TFOD's key, a PNG file of the whole image for each object, and two of our own that are quick to read: compressed run
# lengths, and the bits of the patch over the object's whole box.
PNG, RUNS, PATCHES = "image/object/mask", "image/object/mask/runs", "image/object/mask/patch"
KEYS = {PNG: "bytes", RUNS: "bytes", PATCHES: "bytes"}
# Counted by readers of annotations besides: outlines that cross themselves, and masks of several large parts.
CROSSING, PARTED = "crossing", "parted"


def unpack(lists: Rows, boxes: np.ndarray, size: Size, side: int) -> Rows:
    """Stored lists to rows.

    Where there are run lengths and patches they are taken, in records of other programs the files are decoded.

    Args:
        lists: Of `KEYS`.
        boxes: [N, 4] left, top, right, bottom in pixels, the frames of masks that only files tell.
        size: Width and height of the image.
        side: S.

    Raises:
        ValueError: A list does not hold N values, a patch has another size, or a file cannot be read.
    """
    count = len(boxes)
    for key in KEYS:
        if len(lists[key]) not in (0, count):
            raise ValueError(f"{key} holds {len(lists[key])} masks for {count} boxes")
    if not len(lists[RUNS]):
        return place(_segmentations(lists[PNG], count, size), boxes, size, side)
    if not len(lists[PATCHES]):
        raise ValueError(f"{PATCHES} is missing beside {RUNS}")
    length = -(-(side**2) // 8)
    if odd := [len(one) for one in lists[PATCHES] if len(one) != length]:
        raise ValueError(f"{PATCHES} holds {odd[0]} bytes; expected {length}, {side} x {side} bits")
    packed = np.frombuffer(b"".join(lists[PATCHES]), np.uint8).reshape(count, length)
    masks = np.unpackbits(packed, axis=1, count=side**2).reshape(count, side, side)
    return {"masks": masks.astype(np.float32), "segmentations": lists[RUNS]}


def _segmentations(pngs: np.ndarray, count: int, size: Size) -> np.ndarray:
    found = np.full(count, b"", object)
    for row, data in enumerate(pngs):
        try:
            counts = files.from_png(data, size) if data else None
        except ValueError as error:
            raise ValueError(f"{PNG} of object {row + 1}: {error}") from None
        # TFOD has a file for every object: one without a pixel says that nobody drew a mask.
        found[row] = b"" if counts is None or not runs.area(counts) else runs.write_counts(counts)
    return found


def place(segmentations: np.ndarray, boxes: np.ndarray, size: Size, side: int) -> Rows:
    """The rows of masks in the frames of boxes.

    Args:
        segmentations: [N] compressed run lengths that fit the image, b"" for none.
        boxes: [N, 4] whole boxes in pixels, which may reach beyond the image.
        size: Width and height of the image.
        side: S.
    """
    masks = np.zeros((len(boxes), side, side), np.float32)
    for row, (data, box) in enumerate(zip(segmentations, boxes)):
        if data:
            masks[row] = runs.patch(runs.read_counts(data), size, box, side)
    return {"masks": masks, "segmentations": segmentations}


def pack(rows: Rows, size: Size) -> dict[str, Any]:
    """Rows to the lists of `KEYS`; nothing where no object has a mask."""
    segmentations = rows["segmentations"]
    if not any(segmentations):
        return {}
    bits = np.packbits(rows["masks"].reshape(len(segmentations), -1) > 0.5, axis=1)
    nothing = np.array([size[0] * size[1]])
    pngs = [files.to_png(runs.read_counts(data) if data else nothing, size) for data in segmentations]
    return {PNG: pngs, RUNS: list(segmentations), PATCHES: [one.tobytes() for one in bits]}


def faults(segmentations: np.ndarray, size: Size) -> list[Fault | None]:
    """What is wrong with the run lengths of each object in an image of this width and height."""
    return [_fault(data, size) if data else None for data in segmentations]


def _fault(data: bytes, size: Size) -> Fault | None:
    try:
        wrong = runs.fault(runs.read_counts(data), size)
    except ValueError as error:
        return Fault("mask not readable", f"has run lengths that cannot be read: {error}")
    return Fault("run lengths do not fit the image", f"has run lengths that do not fit: {wrong}") if wrong else None


def count(segmentations: np.ndarray) -> dict[str, int]:
    """How many objects have a mask, how many of these an empty one, and how many have none."""
    sizes = [runs.area(runs.read_counts(data)) for data in segmentations if data]
    return {
        "masks": len(sizes),
        "empty": sum(not one for one in sizes),
        "without": len(segmentations) - len(sizes),
    }


def tell(counts: Mapping[str, int]) -> str:
    """The counts of a conversion as a sentence."""
    texts = {
        "empty": "{} without a pixel",
        CROSSING: "{} of polygons that cross themselves, filled where they wind around an odd number of times",
        PARTED: "{} of several large parts; --split-parts makes each an object",
    }
    parts = [text.format(_figure(counts[name])) for name, text in texts.items() if counts.get(name)]
    listed = f", {', '.join(parts)}" if parts else ""
    rest = f"; {_figure(counts['without'])} objects without a mask" if counts.get("without") else ""
    return f"{_figure(counts.get('masks', 0))} masks{listed}{rest}."


def _figure(number: int) -> str:
    return f"{number:,}".replace(",", " ")
