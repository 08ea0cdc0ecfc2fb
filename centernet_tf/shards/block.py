"""Searches the images of one block and writes its part: what every engine runs, in this process or in another."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.media import remote
from centernet_tf.media.images import read_image
from centernet_tf.media.sources import Source
from centernet_tf.outputs import image_line
from centernet_tf.shards.formats import FORMATS, Row
from centernet_tf.shards.listing import Block, names_of
from centernet_tf.shards.run import LIST_FILE, Run

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker is told once, small enough to be sent to it.

    Attributes:
        folder: Of the run; on a disk that all workers see.
        format: Of the parts.
        base: Folder that relative names of images begin at.
        load: Loads the detector.
        read_extras: From the detector, {name: function from an image's name to its value} of what it takes beside
            pixels.
        threshold: As of `detector.found.chosen`.
        batch_size: Images searched at the same time.
        skip_bad: Continue past an image that cannot be read, and say so in its row.
    """

    folder: Path
    format: str
    base: Path
    load: Callable[[], "Detector"]
    read_extras: Callable[["Detector"], Mapping[str, Callable[[str], np.ndarray]]]
    threshold: float | Sequence[float] | None
    batch_size: int
    skip_bad: bool


class Searcher:
    """Loads the model once, and searches block after block."""

    def __init__(self, job: Job):
        self._job = job
        self._detector = job.load()
        self._extras = job.read_extras(self._detector)

    def search(self, block: Block) -> int:
        """Writes the part of a block, unless it is there already; the number of its images.

        Raises:
            DataError: An image cannot be read, unless `skip_bad`, or the part cannot be written.
        """
        part = Run(self._job.folder, self._job.format, ()).part(block.number)
        if not part.exists():
            FORMATS[self._job.format].write(part, sorted(self._rows(block), key=lambda row: row["id"]))
        return block.count

    def _rows(self, block: Block) -> Iterator[Row]:
        bad: list[Row] = []

        def read() -> Iterator[tuple[tuple[int, Source], np.ndarray, dict[str, Any]]]:
            for number, name in enumerate(names_of(self._job.folder / LIST_FILE, block), start=block.first + 1):
                source = Source(name if remote.scheme_of(name) else Path(name), moving=False, output="")
                try:
                    extras = {key: value(name) for key, value in self._extras.items()}
                    image = self._read(source)
                except DataError as error:
                    if not self._job.skip_bad:
                        raise DataError(f"{error} Use --skip-bad to continue without it.") from error
                    bad.append({"id": number, "file_name": source.name, "reason": str(error)})
                    continue
                yield (number, source), image, extras

        found_of = self._detector.search(read(), self._job.threshold, self._job.batch_size)
        for (number, source), _, found in found_of:
            yield image_line(number, found, file_name=source.name, output=None)
        yield from bad

    def _read(self, source: Source) -> np.ndarray:
        # Workers may run in other folders than the command that started them.
        place = self._job.base / source.place if isinstance(source.place, Path) else source.place
        return read_image(place, source.name)
