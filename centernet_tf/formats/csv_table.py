"""One table of all objects, for spreadsheets and pandas."""

import contextlib
import csv
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.host.files import telling, whole_file, writes_straight
from centernet_tf.media.sources import Source
from centernet_tf.outputs import DIGITS, Format, Teller
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

COLUMNS = ("file_name", "frame", "time", "object", "class", "score", "left", "top", "right", "bottom")


class CsvTable(Format):
    """A line for each object: where it is, its number in the image from 1, its class, score and box in pixels.

    Boxes are not clipped to the image. Frame, from 0, and time in seconds are empty of single images. Properties add
    columns, which are empty where an object lacks one.
    """

    option, title = "--csv", "Table"

    def check(self, sources: Sequence[Source]) -> None:
        del sources
        if self.path.is_dir():
            raise UsageError(f"{self.path}: this is a folder. Give a file to {self.option}.")
        if self.path.exists() and not writes_straight(self.path):
            with self.path.open("rb") as file:
                begin = file.readline(1000)
            if begin.strip() and not begin.startswith(",".join(COLUMNS).encode()):
                raise UsageError(f"{self.path}: holds another table. Give another file to {self.option}.")

    @contextlib.contextmanager
    def opened(self, names: Sequence[str], properties: Sequence[Property]) -> Iterator[Teller]:
        del names
        further = {key: columns for one in properties for key, columns in one.columns().items()}
        with whole_file(self.path) as file:
            writer = csv.writer(file, lineterminator="\n")

            def tell(source: Source, frame: tuple[int, float] | None, image: np.ndarray, found: Detections) -> None:
                del image
                number_and_time = ("", "") if frame is None else (frame[0], round(frame[1], DIGITS))
                rows = found.to_coco(0, digits=DIGITS)
                with telling(self.path):
                    for number, (one, row) in enumerate(zip(found, rows), start=1):
                        box = [float(f"{value:.{DIGITS}f}") for value in one.box]
                        values = [value for key, columns in further.items() for value in _cells(row, key, columns)]
                        writer.writerow([source.name, *number_and_time, number, one.name, row["score"], *box, *values])

            writer.writerow([*COLUMNS, *(name for columns in further.values() for name in columns)])
            yield tell


def _cells(row: dict[str, Any], key: str, columns: Sequence[str]) -> list[Any]:
    """What a line of JSON has under a key, a number for each column; nothing where it lacks the key."""
    if key not in row:
        return [""] * len(columns)
    return row[key] if isinstance(row[key], list) else [row[key]]
