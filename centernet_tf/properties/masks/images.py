"""Found masks as PNG files: one image of numbered objects, or an image for each object."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.host.files import write_bytes
from centernet_tf.properties.masks import pixels
from centernet_tf.properties.property import Rows, Size

MOST = np.iinfo(np.uint16).max  # objects that 16 bits can number
_HEAD = 33  # bytes of a PNG's signature and first chunk
_MARK = b"Source\0centernet detect"  # text by which a result is known from an image of anything else


def label_image(segmentations: Sequence[bytes], scores: np.ndarray, size: Size) -> np.ndarray:
    """The number of the object that each pixel belongs to.

    Args:
        segmentations: N run lengths, as in `Masks`.
        scores: [N]; where masks overlap, the surest object counts.
        size: Width and height of the image.

    Returns:
        [H, W] uint16: 1 for the first object, 0 for background.

    Raises:
        DataError: There are more than 65,535.
    """
    if len(segmentations) > MOST:
        raise DataError(f"{len(segmentations)} objects: a label image can number {MOST}. Raise the threshold.")
    labels = np.zeros(size[::-1], np.uint16)
    for row in np.argsort(scores, kind="stable"):
        region = pixels.region_from(segmentations[row], size)
        labels[region.part][region.pixels] = row + 1
    return labels


def write_label_image(path: Path, names: Sequence[str], rows: Rows, digits: int) -> None:
    """Writes `label_image` of what was found in an image, with the rows of `results.at_pixels`."""
    del names, digits
    _write(path, label_image(rows["segmentations"], rows["scores"], _size(rows)))


def write_object_images(path: Path, names: Sequence[str], rows: Rows, digits: int) -> None:
    """Writes a folder with an image for each object, 255 where its mask is and else 0.

    They are called by their number, from 1, and the name of their class: 001_person.png.
    """
    del digits
    path.mkdir(parents=True, exist_ok=True)
    for number, (name, counts) in enumerate(zip(names, rows["segmentations"], strict=True), start=1):
        kept = "".join(letter if letter.isalnum() or letter in "-. " else "_" for letter in name)[:80]
        _write(path / f"{number:03}_{kept}.png", np.uint8(255) * pixels.whole(counts, _size(rows)))


def is_result(path: Path) -> bool:
    """Whether a file is an image that was written here, and so may be written again."""
    try:
        with path.open("rb") as file:
            return _chunk() in file.read(_HEAD + len(_chunk()))
    except OSError:
        return False


def is_empty(path: Path) -> bool:
    """Whether a folder has room for the objects of one image: those of another run would stay among them."""
    return path.is_dir() and not any(path.iterdir())


def _size(rows: Rows) -> Size:
    height, width = rows["segmentation_size"].tolist()
    return width, height


def _write(path: Path, image: np.ndarray) -> None:
    encoded = cv2.imencode(".png", image)[1].tobytes()
    write_bytes(path, encoded[:_HEAD] + _chunk() + encoded[_HEAD:], sync=False)  # one of thousands


def _chunk() -> bytes:
    """PNG's chunk of the text that marks results."""
    content = b"tEXt" + _MARK
    return len(_MARK).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
