"""A split of a data set on disk: TFRecord shards and the dataset.yaml that says what is in them."""

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from centernet_tf.data.example import read_record, read_shard
from centernet_tf.data.fetched import fetched, sha256_of
from centernet_tf.data.overall import told
from centernet_tf.data.record import Record
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.host.bucket import Bucket, as_place, put_text
from centernet_tf.host.strict_yaml import parse_file
from centernet_tf.properties import as_plain, read_properties
from centernet_tf.properties.property import Property

DATASET_FILE = "dataset.yaml"

_AGAIN = "Copy the directory again, or write the records again with `centernet records`."


@dataclass(frozen=True)
class Shard:
    """One TFRecord file: where it is read, how many records and bytes it holds, and the SHA-256 of the file.

    Attributes:
        source: Where it was fetched from; None for files of this machine.
    """

    path: Path
    records: int
    bytes: int
    sha256: str
    source: Bucket | None = None

    @property
    def place(self) -> Path | Bucket:
        """Where people find it."""
        return self.source or self.path


@dataclass(frozen=True)
class Dataset:
    """One split of a data set, as its dataset.yaml tells it.

    Attributes:
        directory: Where the shards and dataset.yaml lie: a folder of this machine, or of a bucket.
        name: Name of the data set.
        split: "train", "val", ...
        classes: Names in the order of the class numbers.
        images: Number of records.
        objects: Number of boxes in all records.
        objects_per_class: Boxes of each class, by name.
        files: The shards in order.
        report: What the converter did with each box and image, as it wrote it; empty for hand-made files.
        properties: What objects have besides box and class, with all that the records say of it.
    """

    directory: Path | Bucket
    name: str
    split: str
    classes: tuple[str, ...]
    images: int
    objects: int
    objects_per_class: dict[str, int]
    files: tuple[Shard, ...]
    report: dict[str, Any] = field(default_factory=dict)
    properties: tuple[Property, ...] = ()

    @property
    def shards(self) -> tuple[Path, ...]:
        """Paths of the shards in order; of a bucket's, those of their copies."""
        return tuple(shard.path for shard in self.files)

    def property(self, name: str) -> Property | None:
        """The property of this name; None where the records do not have it."""
        return next((one for one in self.properties if one.name == name), None)

    def with_properties(self, properties: Iterable[Property]) -> "Dataset":
        """The same records, read with these properties besides, or in place of their own of the same names."""
        named = {one.name: one for one in (*self.properties, *properties)}
        return replace(self, properties=tuple(named.values()))

    def overall(self, name: str) -> Property | None:
        """The property of this name after a look at all records, see `Property.over`; None where they do not have it.

        Reads every record but not its image, once in a process.

        Raises:
            DataError: One cannot be read.
        """
        known = self.property(name)
        return None if known is None else told(known, self.files, self.classes)

    def head(self, count: int) -> list[Record]:
        """The first records; errors as `iterate`."""
        return list(itertools.islice(iterate(self), count))


def open_dataset(path: str | Path | Bucket, check: bool = True) -> Dataset:
    """Reads the dataset.yaml of a split and checks that its shards are there and whole, and hold what it says.

    Shards of a bucket are fetched to this machine, see `fetched`.

    Args:
        path: The directory of the split, or its dataset.yaml; an address such as "s3://bucket/mine/train", too.
        check: Look at the shards too; otherwise they are taken as they are, missing or cut off.

    Raises:
        UsageError: There is no dataset.yaml, or nothing here opens such addresses.
        DataError: It cannot be understood or contradicts itself, or a shard is missing, cut off or holds another number
            of records, or cannot be fetched.
    """
    place = as_place(path)
    directory = place.parent if place.name == DATASET_FILE else place
    dataset = _from_yaml(directory, _read_yaml(directory))
    if check:
        _check_counts(dataset)
    if isinstance(directory, Bucket):
        dataset = _fetched(dataset)
        for shard in dataset.files if check else ():
            _check_fetched(shard)
    if check:
        for shard in dataset.files:
            _check_shard(shard)
    return dataset


def save_dataset(dataset: Dataset) -> None:
    """Writes the dataset.yaml of a split; a reader sees the old file or the new one, never a part.

    Raises:
        DataError: The disk refuses it.
        OSError: The bucket does.
    """
    content = {
        "name": dataset.name,
        "split": dataset.split,
        "classes": list(dataset.classes),
        "images": dataset.images,
        "objects": dataset.objects,
        "objects_per_class": dataset.objects_per_class,
        **({"properties": as_plain(dataset.properties)} if dataset.properties else {}),
        "report": dataset.report,
        "shards": [
            {"file": shard.path.name, "records": shard.records, "bytes": shard.bytes, "sha256": shard.sha256}
            for shard in dataset.files
        ],
    }
    text = "# Describes the shards beside this file. Check them with `centernet inspect`.\n"
    text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    put_text(dataset.directory / DATASET_FILE, text)


def verify_checksums(dataset: Dataset) -> None:
    """Reads every shard in full and compares its SHA-256 with the one in dataset.yaml.

    Raises:
        DataError: A shard is not the file that was written; it is named.
    """
    for shard in dataset.files:
        found = sha256_of(shard.path)
        if found != shard.sha256:
            raise DataError(
                f"{shard.place}: the file has changed since it was written (SHA-256 {found[:12]}..., "
                f"{DATASET_FILE} says {shard.sha256[:12]}...). {_AGAIN}"
            )


def iterate(dataset: Dataset) -> Iterator[Record]:
    """Reads the records one by one, in the order they were written; meant for looking, not for training.

    Raises:
        DataError: A record is cut off, damaged or not ours, or a shard holds another number of records than
            dataset.yaml says. The shard and the number of the record, from 1, are named.
    """
    for shard in dataset.files:
        yield from _iterate_shard(shard, dataset)


def _iterate_shard(shard: Shard, dataset: Dataset) -> Iterator[Record]:
    records = read_shard(shard.path)
    for number in itertools.count(1):
        where = f"{shard.place}: record {number}"
        try:
            serialized = next(records, None)
        except DataError as error:
            told = str(error).replace(str(shard.path), str(shard.place))
            raise DataError(f"{told} {_AGAIN}") from error
        if serialized is None:
            break
        try:
            record = read_record(serialized, dataset.classes, dataset.properties)
        except ValueError as error:
            raise DataError(f"{where} is invalid ({str(error).rstrip('.')}). {_AGAIN}") from error
        for one in dataset.properties:
            if fault := one.image_fault(record.rows):
                raise DataError(f"{where} cannot be used: {fault.detail}. {_AGAIN}")
        yield record
    if number - 1 != shard.records:
        raise DataError(
            f"{shard.place}: {number - 1} records, but {DATASET_FILE} says {shard.records}; "
            f"record {number} is where they differ. {_AGAIN}"
        )


def _read_yaml(directory: Path | Bucket) -> dict[str, Any]:
    path = directory / DATASET_FILE
    try:
        if not path.is_file():
            raise UsageError(f"{directory}: {_why_missing(directory)}")
        content = parse_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}). Check the connection and your rights.") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not readable as YAML ({error}). {_AGAIN}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected settings such as 'classes: [...]', got {brief(content)}. {_AGAIN}")
    return content


def _why_missing(directory: Path | Bucket) -> str:
    if not directory.is_dir():
        return (
            "no such directory of records. Write them first, for example "
            f"`centernet records voc DATA --split train --out {directory}`."
        )
    if inside := sorted(path.parent.name for path in directory.glob(f"*/{DATASET_FILE}")):
        return (
            f"no {DATASET_FILE} here, but in {', '.join(inside)} below it; name one, such as {directory / inside[0]}."
        )
    if list(directory.glob("*.tfrecord")):
        return f"shards but no {DATASET_FILE}, so writing was interrupted. Run the same `centernet records` again."
    return f"no {DATASET_FILE} in this directory. Give the one that `centernet records` wrote."


def _from_yaml(directory: Path | Bucket, content: dict[str, Any]) -> Dataset:
    path = directory / DATASET_FILE
    classes = content.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise DataError(
            f"{path}: 'classes' is {classes!r:.80}; expected a list of at least one name in the order of the class "
            "numbers, with quotes around names that YAML takes for numbers or yes and no."
        )
    if len(set(classes)) != len(classes):
        twice = sorted({name for name in classes if classes.count(name) > 1})
        raise DataError(f"{path}: 'classes' names {', '.join(twice)} twice; each class needs its own name.")
    try:
        shards = tuple(
            Shard(directory / str(row["file"]), int(row["records"]), int(row["bytes"]), str(row["sha256"]))
            for row in content["shards"]
        )
        dataset = Dataset(
            directory=directory,
            name=str(content["name"]),
            split=str(content["split"]),
            classes=tuple(classes),
            images=int(content["images"]),
            objects=int(content["objects"]),
            objects_per_class={str(name): int(count) for name, count in content["objects_per_class"].items()},
            files=shards,
            report=content.get("report") or {},
            properties=read_properties(content.get("properties") or {}, str(path)),
        )
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: not a description of records ({what}). {_AGAIN}") from error
    if not shards:
        raise DataError(f"{path}: 'shards' is empty. {_AGAIN}")
    return dataset


def _fetched(dataset: Dataset) -> Dataset:
    """The data set of a bucket with copies of its shards."""
    copies = fetched([(shard.path, shard.bytes, shard.sha256) for shard in dataset.files])
    files = (replace(shard, path=copy, source=shard.path) for shard, copy in zip(dataset.files, copies))
    return replace(dataset, files=tuple(files))


def _check_fetched(shard: Shard) -> None:
    """Raises DataError where a copy has the size that it should have, but came with other bytes."""
    if shard.path.is_file() and shard.path.stat().st_size == shard.bytes and shard.path.parent.name != shard.sha256:
        raise DataError(f"{shard.source}: the file has changed since it was written, or on its way here. {_AGAIN}")


def _check_counts(dataset: Dataset) -> None:
    """Raises DataError where a dataset.yaml, which people edit, contradicts itself."""
    path, listed = dataset.directory / DATASET_FILE, sum(shard.records for shard in dataset.files)
    if dataset.images != listed:
        raise DataError(f"{path}: 'images' is {dataset.images}, but its shards list {listed} records. {_AGAIN}")
    if unknown := [name for name in dataset.objects_per_class if name not in dataset.classes]:
        raise DataError(
            f"{path}: 'objects_per_class' counts {', '.join(unknown):.200}, which 'classes' lacks: "
            f"{', '.join(dataset.classes):.200}. The labels in the shards are numbers of the whole list. {_AGAIN}"
        )


def _check_shard(shard: Shard) -> None:
    if not shard.path.is_file():
        raise DataError(f"{shard.place}: this shard is missing; {DATASET_FILE} beside it lists it. {_AGAIN}")
    size = shard.path.stat().st_size
    if size != shard.bytes:
        number = _whole_records(shard.path) + 1
        where = f"cut off in record {number} of {shard.records}" if size < shard.bytes else "longer than when written"
        raise DataError(
            f"{shard.place}: {where}; the file has {size} bytes, {DATASET_FILE} says {shard.bytes}. {_AGAIN}"
        )
    if (found := _whole_records(shard.path)) != shard.records:
        raise DataError(f"{shard.place}: {found} records, but {DATASET_FILE} says {shard.records}. {_AGAIN}")


def _whole_records(path: Path) -> int:
    """Counts the records before the place where a shard ends; each is length, checksum, data, checksum."""
    size, end, count = path.stat().st_size, 0, 0
    with path.open("rb", buffering=0) as file:  # a buffer would read a thousand times what is looked at
        while len(head := file.read(8)) == 8:
            end += struct.unpack("<Q", head)[0] + 16
            if end > size:
                break
            file.seek(end)
            count += 1
    return count
