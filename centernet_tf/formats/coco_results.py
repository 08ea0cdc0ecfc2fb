"""The list that COCO's test server and its tools take: results of all images, by the ids of the data set.

    [{"image_id": 397133, "category_id": 1, "bbox": [left, top, width, height], "score": 0.91}, ...]

Boxes are in pixels, not clipped to the image. What else the server takes of an object, its property says
(`Property.coco`).
"""

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from centernet_tf.datasets.coco_names import COCO_CLASSES, COCO_IDS
from centernet_tf.errors import DataError, UsageError, brief, closest
from centernet_tf.host.files import telling, whole_file, writes_straight
from centernet_tf.media.sources import Source
from centernet_tf.outputs import DIGITS, Format, Teller
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

KEYS = ("image_id", "category_id", "bbox", "score")
_NUMBER = re.compile(r"(\d{1,18})$")  # ids are int64 in COCO's tools


class CocoResults(Format):
    """The list of the module's docstring, as a file.

    Args:
        path: The file.
        annotations: COCO JSON whose images have the ids, and whose categories, where it has some; for the test sets,
            image_info_test-dev2017.json. None for images that are called by their ids, as COCO's are: 000000397133.jpg.
    """

    option, title = "--coco", "COCO's results"

    def __init__(self, path: Path, annotations: Path | None = None):
        super().__init__(path)
        self.annotations = annotations
        self._content: dict[str, Any] | None = None
        self._ids: dict[Source, int] = {}

    def check(self, sources: Sequence[Source]) -> None:
        _check_replaced(self.path, self.option)
        moving = [source.name for source in sources if source.moving]
        if moving:
            raise UsageError(
                f"{self.option}: {moving[0]} is a video or a webcam, whose frames have no ids. Leave it out."
            )
        if self._content is None:
            self._content = _load(self.annotations) if self.annotations else {}
        self._ids = image_ids(sources, self._content.get("images"), self.annotations)

    @contextlib.contextmanager
    def opened(self, names: Sequence[str], properties: Sequence[Property]) -> Iterator[Teller]:
        numbers = category_ids(names, (self._content or {}).get("categories"), self.annotations)
        keys = (*KEYS, *(key for one in properties for key in one.coco))
        first = True

        def tell(source: Source, frame: tuple[int, float] | None, image: np.ndarray, found: Detections) -> None:
            nonlocal first
            del frame, image
            for row in found.to_coco(self._ids[source], numbers, DIGITS):
                with telling(self.path):
                    file.write("\n" if first else ",\n")
                    file.write(json.dumps({key: row[key] for key in keys if key in row}))
                first = False

        with whole_file(self.path) as file:
            file.write("[")
            yield tell
            file.write("\n]\n")


def image_ids(
    sources: Sequence[Source], images: Sequence[Mapping[str, Any]] | None, origin: Path | None = None
) -> dict[Source, int]:
    """The id of each image.

    Args:
        sources: The images.
        images: Rows of a COCO JSON, "id" and "file_name", of which a part may be the path of a source from its end;
            None to read the number at the end of each name.
        origin: The JSON, for messages.

    Raises:
        UsageError: An image has none, or two have the same.
    """
    rows: dict[str, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
    for row in images or ():
        parts = PurePosixPath(row["file_name"].replace("\\", "/")).parts
        rows[parts[-1] if parts else ""].append((parts, row["id"]))
    found: dict[Source, int] = {}
    taken: dict[int, str] = {}
    for source in sources:
        path = PurePosixPath(source.name.replace("\\", "/"))
        number = _from_name(source, path) if images is None else _listed(source, path, rows, origin)
        if number in taken:
            raise UsageError(f"{source.name}: has the id {number}, as {taken[number]} has. Leave out one of them.")
        taken[number], found[source] = source.name, number
    return found


def _from_name(source: Source, path: PurePosixPath) -> int:
    match = _NUMBER.search(path.stem)
    if not match:
        raise UsageError(
            f"{source.name}: its id cannot be told by its name, as COCO's can (000000397133.jpg). Give the JSON that "
            "lists the images: --coco-ids FILE."
        )
    return int(match[1])


def _listed(
    source: Source, path: PurePosixPath, rows: Mapping[str, Sequence[tuple[tuple[str, ...], int]]], origin: Path | None
) -> int:
    """The id of the row whose file_name ends as the path does; by the last part alone where only one row has it."""
    same = rows.get(path.name, ())
    ending = [number for parts, number in same if path.parts[-len(parts) :] == parts]
    numbers = ending if len(same) > 1 else [number for _, number in same]
    if len(numbers) != 1:
        how = "is none of the images" if not numbers else f"may be {len(numbers)} of the images"
        raise UsageError(f"{source.name}: {how} in {origin}.{'' if numbers else closest(path.name, rows)}")
    return numbers[0]


def category_ids(
    names: Sequence[str], categories: Sequence[Mapping[str, Any]] | None = None, origin: Path | None = None
) -> list[int]:
    """The id of each class.

    Args:
        names: Of the classes.
        categories: Rows of a COCO JSON, "id" and "name"; None or none of them for COCO's own ids, where all classes
            are COCO's, and else numbers from 1.
        origin: The JSON, for messages.

    Raises:
        UsageError: A class is none of the categories.
    """
    known = {str(row["name"]): row["id"] for row in categories or ()}
    if not known:
        official = dict(zip(COCO_CLASSES, COCO_IDS))
        known = official if set(names) <= set(official) else {name: index for index, name in enumerate(names, start=1)}
    for name in names:
        if name not in known:
            raise UsageError(f"{origin}: has no category {name!r}, which this model finds.{closest(name, known)}")
    return [known[name] for name in names]


def _load(path: Path) -> dict[str, Any]:
    """A COCO JSON whose images and categories have what is read here."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Give a COCO JSON to --coco-ids.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON that can be read ({brief(str(error))}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise UsageError(f"{path}: has no list of images. Give a COCO JSON to --coco-ids.")
    _check_rows(path, "images", content["images"], "file_name")
    _check_rows(path, "categories", content.get("categories", []), "name")
    return content


def _check_rows(path: Path, kind: str, rows: Any, name: str) -> None:
    for row in rows if isinstance(rows, list) else [rows]:
        good = isinstance(row, dict) and isinstance(row.get(name), str)
        if not good or not isinstance(row.get("id"), int) or isinstance(row["id"], bool):
            raise DataError(f"{path}: {kind} holds {brief(row)}; expected a whole number as id, and a {name}.")


def _check_replaced(path: Path, option: str) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: this is a folder. Give a file to {option}.")
    if path.exists() and not writes_straight(path):
        with path.open("rb") as file:
            begin = file.read(1000).lstrip()
        if begin and not begin.startswith(b"["):  # annotations are an object
            raise UsageError(f"{path}: holds no results, but perhaps annotations. Give another file to {option}.")
