"""A folder of images as one video."""

import collections
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from centernet_tf.errors import DataError
from centernet_tf.host.reading import printable
from centernet_tf.media import images
from centernet_tf.media.video import RATE, Frame


def frames_of(folder: Path) -> list[Path]:
    """The images directly in a folder, hidden ones left out, by name: 2.jpg before 10.jpg."""
    found = [child for child in folder.iterdir() if child.suffix.lower() in images.SUFFIXES and child.is_file()]
    return sorted((child for child in found if not child.name.startswith(".")), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def doubts(folder: Path) -> list[str]:
    """What in the numbers of frames looks wrong, sentences for people: frames that are missing, or there twice.

    Frames may be any number apart, such as every fifth of a video; nothing is said of names without numbers.
    """
    files = frames_of(folder)
    split = [re.fullmatch(r"(.*?)(\d+)(\D*)", file.stem) for file in files]
    if len(files) < 3 or None in split or len({(one[1], one[3]) for one in split if one}) > 1:
        return []
    numbers = [int(one[2]) for one in split if one]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    usual = collections.Counter(steps).most_common(1)[0][0]
    found = []
    for step, before, after in zip(steps, files, files[1:]):
        if step == 0:
            found.append(f"{printable(folder)}: {before.name} and {after.name} have the same number.")
        elif step > usual > 0:
            missing = -(-step // usual) - 1
            counted = f"{missing} frames are" if missing > 1 else "one frame is"
            found.append(f"{printable(folder)}: {counted} missing between {before.name} and {after.name}.")
    return found


class FolderReader:
    """Frames of a video that lies as images in a folder; used as `video.VideoReader`.

    Args:
        folder: Its images are the frames, see `frames_of`.
        rate: Frames per second.

    Attributes:
        live: False.
        name: What errors call it.
        rate: Frames per second.
        frames: How many there are.

    Raises:
        DataError: There are none.
    """

    live = False

    def __init__(self, folder: Path, rate: float = RATE):
        self.name, self.rate = printable(folder), rate
        self._files = frames_of(folder)
        self.frames = len(self._files)
        if not self._files:
            raise DataError(f"{self.name}: no images directly in this folder.")

    def __iter__(self) -> Iterator[Frame]:
        """Reads them one by one.

        Raises:
            DataError: One cannot be read, or has another size than the first. It is named.
        """
        first = None
        for number, file in enumerate(self._files):
            image = images.read_image(file)
            height, width = image.shape[:2]
            first = first or (width, height)
            if (width, height) != first:
                raise DataError(
                    f"{printable(file)}: {width}x{height} pixels, but {self._files[0].name}, the first frame of the "
                    f"same folder, has {first[0]}x{first[1]}. A video has frames of one size: scale them, or put those "
                    "of each size into a folder of their own."
                )
            yield Frame(image, number, number / self.rate)

    def close(self) -> None:
        """Nothing is held open."""
