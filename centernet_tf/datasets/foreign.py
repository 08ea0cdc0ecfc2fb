"""TFRecords of other programs, TFOD's and Model Garden's: read, checked, counted and described, never changed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from centernet_tf.data.dataset import Dataset, Shard, save_dataset, sha256_of
from centernet_tf.data.examine import decoding_fault
from centernet_tf.data.example import read_record, read_shard
from centernet_tf.data.record import Record
from centernet_tf.datasets.report import Report
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.images import inspect_header
from centernet_tf.properties.property import Property

PATTERNS = ("*.tfrecord*", "*.record*")
LISTED = 10  # bad records that an error names
_AGAIN = (
    "Files of other programs are not changed here: correct their source and write them again, or leave files out with "
    "--files."
)


def index(
    directory: str | Path,
    classes: Sequence[str],
    *,
    properties: Sequence[Property] = (),
    name: str | None = None,
    split: str = "train",
    files: str | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Report:
    """Reads every record of the TFRecord files in a folder and writes their dataset.yaml beside them.

    Args:
        directory: Folder of the files of one split.
        classes: Names in the order of the labels, from 1, see `read_labels`.
        properties: What the records hold of objects besides boxes and classes.
        name: Of the data set; by default that of the folder above.
        split: "train", "val", ...
        files: Pattern of the files' names; by default `PATTERNS`.
        progress: Called with the number of records read so far.

    Returns:
        What was counted.

    Raises:
        UsageError: There are no such files, or those of several splits.
        DataError: A file is damaged, or records cannot be trained on; each is named. Nothing is written then.
    """
    directory = Path(directory)
    report, bad, shards = Report(properties={one.name: Counter() for one in properties}), [], []
    seen: dict[int, str] = {}
    for path in find_files(directory, files):
        before = report.images_in
        for where, record, fault in _read(path, classes, properties):
            report.images_in += 1
            if record is not None and record.image_id in seen:
                fault = f"its image id {record.image_id} is that of {seen[record.image_id]}, and results count by id"
            if fault:
                bad.append(f"{where}: {fault}")
            else:
                seen[record.image_id] = where
                _count(report, record, classes, properties)
            progress(report.images_in)
        shards.append(Shard(path, report.images_in - before, path.stat().st_size, sha256_of(path)))
    if not report.images_in:
        raise DataError(f"{directory}: no record in {len(shards)} files. {_AGAIN}")
    if bad:
        more = f"; and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
        raise DataError(
            f"{len(bad)} of {report.images_in} records cannot be used: {'; '.join(bad[:LISTED])}{more}. {_AGAIN}"
        )
    counts = {one: report.objects_per_class[one] for one in classes}
    named = name or directory.resolve().parent.name
    figures = report.images_written, report.boxes_written, counts, tuple(shards), report.to_dict()
    save_dataset(Dataset(directory, named, split, tuple(classes), *figures, tuple(properties)))
    return report


def find_files(directory: Path, pattern: str | None = None) -> list[Path]:
    """The TFRecord files of one split in a folder, by name.

    Raises:
        UsageError: There are none, or those of several splits.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such folder. Give the one that holds the TFRecord files.")
    patterns = (pattern,) if pattern else PATTERNS
    found = sorted({path for one in patterns for path in directory.glob(one) if path.is_file()})
    if not found:
        raise UsageError(f"{directory}: no files {' or '.join(patterns)}. Give their names with --files 'PATTERN'.")
    splits = sorted({re.sub(r"\d{3,}-of-\d{3,}", "*", path.name) for path in found if "-of-" in path.name})
    if len(splits) > 1:
        raise UsageError(
            f"{directory}: files of several splits, {', '.join(splits[:5])}. A folder describes one: move the others "
            f"away, or choose with --files '{splits[0]}'."
        )
    return found


def read_labels(path: Path) -> tuple[str, ...]:
    """Names of a TFOD label map, `item { id: 1 name: 'cat' }`, in the order of the labels from 1.

    AVA's `label { name: "stand" label_id: 12 }` too.

    Ids that the map leaves out become classes "unused 12", so that labels keep their numbers.

    Raises:
        UsageError: There is no such file.
        DataError: It is no label map, or two items share an id or a name.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such label map.")
    text = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8-sig", errors="replace"))
    names: dict[int, str] = {}
    for item in re.findall(r"\b(?:item|label)\s*:?\s*\{(.*?)\}", text, re.DOTALL):
        number = re.search(r"\b(?:label_)?id\s*:\s*(\d{1,5})\b", item)
        name = re.search(r"(?<![\w])name\s*:\s*(?:\"([^\"]*)\"|'([^']*)')", item)
        if not number or not name or int(number[1]) == 0:
            raise DataError(f"{path}: item {' '.join(item.split())[:80]!r} lacks an id from 1 on, or a name.")
        named = name[1] or name[2] or ""
        if int(number[1]) in names or named in names.values():
            raise DataError(f"{path}: id {number[1]} or name {named!r} stands twice.")
        names[int(number[1])] = named
    if not names:
        raise DataError(f"{path}: no item {{ id: 1 name: 'cat' }}. Give a label map, a list of names, or 'cat,dog'.")
    return tuple(names.get(number, f"unused {number}") for number in range(1, max(names) + 1))


def _read(
    path: Path, classes: Sequence[str], properties: Sequence[Property]
) -> Iterator[tuple[str, Record | None, str]]:
    """Where each record stands, the record, and why it cannot be used, or "".

    Raises:
        DataError: The file breaks off or is damaged.
    """
    try:
        for number, serialized in enumerate(read_shard(path), start=1):
            where = f"{path.name}, record {number}"
            try:
                record = read_record(serialized, classes, properties)
                yield where, record, _image_fault(record) or _property_fault(record, properties)
            except (ValueError, DataError) as error:
                yield where, None, str(error).rstrip(".")
    except DataError as error:
        raise DataError(f"{error} If the file is compressed, unpack it. {_AGAIN}") from error


def _image_fault(record: Record) -> str:
    header = inspect_header(record.image)
    if (header.width, header.height) != record.size:
        return f"its image has {header.width} x {header.height} pixels, recorded as {record.width} x {record.height}"
    return decoding_fault(record.image)


def _property_fault(record: Record, properties: Sequence[Property]) -> str:
    for one in properties:
        if fault := one.image_fault(record.rows):
            return fault.detail
        for row, fault in enumerate(one.faults({**record.rows, "boxes": record.boxes}, record.size), start=1):
            if fault is not None:
                return f"object {row} {fault.detail}"
    return ""


def _count(report: Report, record: Record, classes: Sequence[str], properties: Sequence[Property]) -> None:
    objects = Counter(classes[number] for number in record.classes[~record.ignored])
    report.images_written += 1
    report.images_empty += not len(record.classes)
    report.boxes_in += len(record.classes)
    report.boxes_written += len(record.classes)
    report.objects_per_class.update(objects)
    report.ignored.update(name for name, ignored in zip(record.names or (), record.ignored) if ignored)
    for one in properties:
        report.properties[one.name].update(one.count(record.rows, record.size))
