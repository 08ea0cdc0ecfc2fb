"""YOLO's text: a file for each image, a line for each object."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.formats.names import FRAME_DIGITS, stem_of
from centernet_tf.host.files import whole_folder, write_text
from centernet_tf.media.sources import Source
from centernet_tf.outputs import Format, Teller
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

_COLUMNS = 6  # annotations have no score and so 5


class YoloText(Format):
    """FOLDER/NAME.txt: class (0-based), x and y of the centre, width, height, all as fractions of the image, and score.

    Boxes end at the edge of the image, as YOLO's do; one that lies outside has no line. An image without objects has an
    empty file.
    """

    option, title = "--save-txt", "YOLO's text"

    def check(self, sources: Sequence[Source]) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: this is a file. Give a folder to {self.option}.")
        taken: set[Path] = set()
        for source in sources:
            target = self.path / f"{stem_of(source, None)}.txt"
            digits = "[0-9]" * FRAME_DIGITS
            old = self.path.glob(f"{_literally(target.stem)}_{digits}.txt") if source.moving else [target]
            _check_results(old, self.option)
            if target in taken:
                raise UsageError(
                    f"{target}: would be written twice, of two images that differ in their suffix. Give them apart, "
                    f"each with another folder to {self.option}."
                )
            taken.add(target)

    @contextlib.contextmanager
    def opened(self, names: Sequence[str], properties: Sequence[Property]) -> Iterator[Teller]:
        del names, properties
        with whole_folder(self.path) as folder:

            def tell(source: Source, frame: tuple[int, float] | None, image: np.ndarray, found: Detections) -> None:
                del image
                name = f"{stem_of(source, frame)}.txt"
                if (folder / name).exists():
                    raise DataError(f"{self.path / name}: would be written twice. Rename the image or the video.")
                write_text(folder / name, "".join(f"{line}\n" for line in lines_of(found)), sync=False)

            yield tell


def lines_of(found: Detections) -> Iterator[str]:
    """The lines of an image, without line ends."""
    width, height = found.image_size
    boxes = np.clip(np.float64(found.boxes) / (width, height, width, height), 0, 1)
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    for index, score, *place in zip(found.classes, found.scores, *middles.T, *sizes.T):
        if place[2] > 0 and place[3] > 0:
            yield " ".join([str(index), *(f"{value:.6f}" for value in place), f"{score:.4f}"])


def is_result(path: Path) -> bool:
    """Whether a file is one of these, or empty, and so may be written again."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return False
    return all(len(line.split()) == _COLUMNS for line in lines)


def _check_results(paths: Iterable[Path], option: str) -> None:
    for path in paths:
        if path.exists() and not is_result(path):
            raise UsageError(
                f"{path}: would overwrite a file that holds no results, such as annotations. Give another folder to "
                f"{option}."
            )


def _literally(stem: str) -> str:
    """A name for `Path.glob`, in which *, ? and [ mean themselves."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
