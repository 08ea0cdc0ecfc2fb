"""Files of results of a block: JSON lines, and Parquet. Rows are those of `detect`'s JSON, one of each image.

A row has `id`, `file_name` and, where the image was searched, `width`, `height`, `output` (null), what properties say
of an image, and `detections`; of an image that could not be read, `reason` instead. In Parquet, what properties add to
images and detections is the JSON text `more`, so that all files of all models have the same columns.
"""

import dataclasses
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.files import telling, whole, whole_file

Row = dict[str, Any]
IMAGE_KEYS = ("id", "file_name", "width", "height", "output", "reason")
DETECTION_KEYS = ("image_id", "category_id", "category", "bbox", "score")


@dataclasses.dataclass(frozen=True)
class Format:
    """A line of the table of formats.

    Attributes:
        write: Writes the rows of a file, whole or not at all.
        read: Gives them back in order.
        needs: Modules beside the package's own, and the extra that brings them.
    """

    write: Callable[[Path, Sequence[Row]], None]
    read: Callable[[Path], Iterator[Row]]
    needs: tuple[tuple[str, str], ...] = ()


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    with whole_file(path) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist([_packed_image(row) for row in rows], schema=_schema())
    with whole(path) as place, telling(path, place, kinds=(pyarrow.ArrowException,)):
        parquet.write_table(table, place, compression="zstd")


def read_parquet(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(1000):
            yield from map(_unpacked_image, batch.to_pylist())


def _schema() -> Any:
    import pyarrow

    detection = {
        "image_id": pyarrow.int64(),
        "category_id": pyarrow.int32(),
        "category": pyarrow.string(),
        "bbox": pyarrow.list_(pyarrow.float64()),
        "score": pyarrow.float64(),
        "more": pyarrow.string(),
    }
    image = {
        "id": pyarrow.int64(),
        "file_name": pyarrow.string(),
        "width": pyarrow.int32(),
        "height": pyarrow.int32(),
        "output": pyarrow.string(),
        "reason": pyarrow.string(),
        "more": pyarrow.string(),
        "detections": pyarrow.list_(pyarrow.struct(list(detection.items()))),
    }
    return pyarrow.schema(list(image.items()))


def _packed(row: Row, keys: Sequence[str]) -> Row:
    more = {key: value for key, value in row.items() if key not in keys}
    kept = {key: row[key] for key in keys if key in row}
    return {**kept, "more": json.dumps(more, ensure_ascii=False) if more else None}


def _packed_image(row: Row) -> Row:
    rest = {key: value for key, value in row.items() if key != "detections"}
    found = row.get("detections")
    return {
        **_packed(rest, IMAGE_KEYS),
        "detections": None if found is None else [_packed(one, DETECTION_KEYS) for one in found],
    }


def _unpacked(row: Row) -> Row:
    more = row.pop("more")
    return {**row, **(json.loads(more) if more else {})}


def _unpacked_image(row: Row) -> Row:
    found, row = row.pop("detections"), _unpacked(row)
    if found is None:
        return {key: row[key] for key in ("id", "file_name", "reason")}
    del row["reason"]
    return {**row, "detections": [_unpacked(one) for one in found]}


FORMATS = {
    "jsonl": Format(write_lines, read_lines),
    "parquet": Format(write_parquet, read_parquet, (("pyarrow", "parquet"),)),
}


def read_file(path: Path, format: str) -> Iterator[Row]:
    """The rows of one file in order.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        yield from FORMATS[format].read(path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error}). Remove it and run again: what is missing is searched.") from error


def check_packages(option: str, needs: Sequence[tuple[str, str]]) -> None:
    """Raises UsageError where a module is missing, given with the extra that brings it; before any work."""
    for module, extra in needs:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(
                f"{option}: {module} is missing ({error}). Install it: pip install 'centernet_tf[{extra}]'."
            ) from None
