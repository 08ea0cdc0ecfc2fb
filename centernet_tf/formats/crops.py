"""The pixels of each object's box as an image of its own, in a folder for each class."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.formats.names import folder_name, stem_of
from centernet_tf.host.files import whole_folder
from centernet_tf.media.draw import save_image
from centernet_tf.media.sources import Source
from centernet_tf.outputs import Format, Teller
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections


class Crops(Format):
    """FOLDER/CLASS/NAME_NUMBER.jpg, by the object's number in the results of its image, from 1.

    Images keep their suffix, frames of videos become JPEG. Boxes end at the edge of the image; an object all of which
    lies outside has no crop.
    """

    option, title = "--save-crops", "Crops"

    def check(self, sources: Sequence[Source]) -> None:
        del sources
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: this is a file. Give a folder to {self.option}.")
        if self.path.is_dir() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path}: holds files, among which crops of another run would stay. Empty it, or give another "
                f"folder to {self.option}."
            )

    @contextlib.contextmanager
    def opened(self, names: Sequence[str], properties: Sequence[Property]) -> Iterator[Teller]:
        del names, properties
        with whole_folder(self.path) as folder:

            def tell(source: Source, frame: tuple[int, float] | None, image: np.ndarray, found: Detections) -> None:
                stem, suffix = stem_of(source, frame), Path(source.output).suffix if frame is None else ".jpg"
                for number, (name, crop) in enumerate(zip(found.class_names, crops_of(image, found.boxes)), start=1):
                    if crop.size:
                        save_image(_free(folder / folder_name(name), f"{stem}_{number:03}", suffix), crop)

            yield tell


def crops_of(image: np.ndarray, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of an image [H, W, 3] in boxes [K, 4], left, top, right, bottom in pixels.

    Each is a view [h, w, 3] of all pixels that the box touches, without any where the box lies outside or has no area.
    """
    height, width = image.shape[:2]
    for left, top, right, bottom in np.clip(boxes, 0, (width, height, width, height)):
        if right > left and bottom > top:
            yield image[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        else:
            yield image[:0, :0]


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """A name that none has: an image may be called as a frame of a video is."""
    further = (f"{stem}-{number}" for number in itertools.count(2))
    paths = (folder / f"{one}{suffix}" for one in itertools.chain([stem], further))
    return next(path for path in paths if not path.exists())
