"""A split of a data set on disk: TFRecord shards and the dataset.yaml that says what is in them."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml

from centernet_tf.data.example import Record, parse, serialize
from centernet_tf.data.solids import to_rows
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.camera import as_camera
from centernet_tf.skeleton import Skeleton

__all__ = [
    "DATASET_FILE", "Dataset", "Record", "Shard", "iterate", "open_dataset", "parse", "save_dataset",
    "serialize", "sha256_of", "verify_checksums",
]  # fmt: skip

DATASET_FILE = "dataset.yaml"

_AGAIN = "Copy the directory again, or write the records again with `centernet records`."


@dataclass(frozen=True)
class Shard:
    """One TFRecord file: where it is, how many records and bytes it holds, and the SHA-256 of the file."""

    path: Path
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """One split of a data set, as its dataset.yaml tells it.

    Attributes:
        directory: Where the shards and dataset.yaml lie.
        name: Name of the data set.
        split: "train", "val", ...
        classes: Names in the order of the class numbers.
        images: Number of records.
        objects: Number of boxes in all records.
        objects_per_class: Boxes of each class, by name.
        files: The shards in order.
        report: What the converter did with each box and image, as it wrote it; empty for hand-made files.
        skeleton: The joints of objects; None where the records have none. Objects of classes without joints have all of
            theirs unlabelled.
        solid: Whether every record holds its camera, and objects have 3D boxes.
    """

    directory: Path
    name: str
    split: str
    classes: tuple[str, ...]
    images: int
    objects: int
    objects_per_class: dict[str, int]
    files: tuple[Shard, ...]
    report: dict[str, Any] = field(default_factory=dict)
    skeleton: Skeleton | None = None
    solid: bool = False

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints; none without skeleton."""
        return self.skeleton.joints if self.skeleton else ()

    @property
    def shards(self) -> tuple[Path, ...]:
        """Paths of the shards in order."""
        return tuple(shard.path for shard in self.files)


def open_dataset(path: str | Path, check: bool = True) -> Dataset:
    """Reads the dataset.yaml of a split and checks that its shards are there and whole.

    Args:
        path: The directory of the split, or its dataset.yaml.
        check: Look at the shards too; otherwise they are taken as they are, missing or cut off.

    Raises:
        UsageError: There is no dataset.yaml.
        DataError: It cannot be understood, or a shard is missing or cut off.
    """
    path = Path(path)
    directory = path.parent if path.name == DATASET_FILE else path
    dataset = _from_yaml(directory, _read_yaml(directory))
    for shard in dataset.files if check else ():
        _check_size(shard)
    return dataset


def save_dataset(dataset: Dataset) -> None:
    """Writes the dataset.yaml of a split; a reader sees the old file or the new one, never a part."""
    content = {
        "name": dataset.name,
        "split": dataset.split,
        "classes": list(dataset.classes),
        "images": dataset.images,
        "objects": dataset.objects,
        "objects_per_class": dataset.objects_per_class,
        **({"skeleton": dataset.skeleton.as_dict()} if dataset.skeleton else {}),
        **({"solid": True} if dataset.solid else {}),
        "report": dataset.report,
        "shards": [
            {"file": shard.path.name, "records": shard.records, "bytes": shard.bytes, "sha256": shard.sha256}
            for shard in dataset.files
        ],
    }
    text = "# What the shards beside this file hold. Look at it with `centernet inspect`.\n"
    text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    temporary = dataset.directory / f".{DATASET_FILE}.writing"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(dataset.directory / DATASET_FILE)


def verify_checksums(dataset: Dataset) -> None:
    """Reads every shard in full and compares its SHA-256 with the one in dataset.yaml.

    Raises:
        DataError: A shard is not the file that was written; it is named.
    """
    for shard in dataset.files:
        found = sha256_of(shard.path)
        if found != shard.sha256:
            raise DataError(
                f"{shard.path}: the file has changed since it was written (SHA-256 {found[:12]}..., "
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


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _iterate_shard(shard: Shard, dataset: Dataset) -> Iterator[Record]:
    read = partial(parse, class_names=dataset.classes, num_joints=len(dataset.joints), solid=dataset.solid)
    examples = tf.data.TFRecordDataset(str(shard.path)).map(read)
    iterator = examples.as_numpy_iterator()
    number = 0
    while True:
        number += 1
        try:
            fields = next(iterator)
        except StopIteration:
            break
        except tf.errors.DataLossError as error:
            raise DataError(f"{shard.path}: record {number} is cut off or damaged. {_AGAIN}") from error
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
            reason = error.message.replace("\n", " ")
            raise DataError(f"{shard.path}: record {number} cannot be understood ({reason}). {_AGAIN}") from error
        yield _to_record(fields, len(dataset.classes), f"{shard.path}: record {number}")
    if number - 1 != shard.records:
        raise DataError(
            f"{shard.path}: {number - 1} records, but {DATASET_FILE} says {shard.records}; "
            f"record {number} is where they differ. {_AGAIN}"
        )


def _to_record(fields: dict[str, Any], num_classes: int, where: str) -> Record:
    classes = fields["classes"].astype(np.int64)
    if ((classes < np.where(fields["neutral"], -1, 0)) | (classes >= num_classes)).any():
        raise DataError(
            f"{where} has labels {classes.min() + 1} to {classes.max() + 1}, but {DATASET_FILE} declares "
            f"{num_classes} classes, labels 1 to {num_classes}. Correct its class list."
        )
    image = fields["image"]
    joints = None
    if "joints" in fields:
        joints = np.concatenate([fields["joints"], fields["joint_labels"][..., None].astype(np.float32)], axis=-1)
    return Record(
        image=image,
        format="png" if image.startswith(b"\x89PNG") else "jpeg",
        width=int(fields["width"]),
        height=int(fields["height"]),
        image_id=int(fields["image_id"]),
        filename=fields["filename"].decode("utf-8", "replace"),
        boxes=fields["boxes"],
        classes=classes,
        crowd=fields["crowd"],
        difficult=fields["difficult"],
        area=fields["area"],
        joints=joints,
        neutral=fields["neutral"],
        **(_solids(fields, where) if "solid" in fields else {}),
    )


def _solids(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """What a record with a camera has besides."""
    try:
        camera = as_camera(fields["camera"])
    except ValueError as error:
        raise DataError(f"{where}: {error} {_AGAIN}") from None
    return {
        "names": tuple(name.decode("utf-8", "replace") for name in fields["names"]),
        "camera": camera,
        "solids": to_rows(fields),
        "truncated": fields["truncated"],
        "occluded": fields["occluded"],
    }


def _read_yaml(directory: Path) -> dict[str, Any]:
    path = directory / DATASET_FILE
    if not path.is_file():
        raise UsageError(f"{directory}: {_why_missing(directory)}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not readable as YAML ({reason}). {_AGAIN}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected settings such as 'classes: [...]', got {content!r:.60}. {_AGAIN}")
    return content


def _why_missing(directory: Path) -> str:
    if not directory.is_dir():
        return (
            "no such directory of records. Write them first, for example "
            f"`centernet records voc DATA --split train --out {directory}`."
        )
    if inside := sorted(path.parent.name for path in directory.glob(f"*/{DATASET_FILE}")):
        return (
            f"no {DATASET_FILE} here, but in {', '.join(inside)} below it; name one, such as {directory / inside[0]}."
        )
    if any(directory.glob("*.tfrecord")):
        return f"shards but no {DATASET_FILE}, so writing was interrupted. Run the same `centernet records` again."
    return f"no {DATASET_FILE} in this directory. Give the one that `centernet records` wrote."


def _from_yaml(directory: Path, content: dict[str, Any]) -> Dataset:
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
            skeleton=Skeleton.from_dict(content["skeleton"], "skeleton") if content.get("skeleton") else None,
            solid=bool(content.get("solid", False)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: not a description of records ({what}). {_AGAIN}") from error
    if not shards:
        raise DataError(f"{path}: 'shards' is empty. {_AGAIN}")
    return dataset


def _check_size(shard: Shard) -> None:
    if not shard.path.is_file():
        raise DataError(f"{shard.path}: this shard is missing; {DATASET_FILE} beside it lists it. {_AGAIN}")
    size = shard.path.stat().st_size
    if size != shard.bytes:
        number = _whole_records(shard.path) + 1
        where = f"cut off in record {number} of {shard.records}" if size < shard.bytes else "longer than when written"
        raise DataError(
            f"{shard.path}: {where}; the file has {size} bytes, {DATASET_FILE} says {shard.bytes}. {_AGAIN}"
        )


def _whole_records(path: Path) -> int:
    """Counts the records before the place where a shard ends; each is length, checksum, data, checksum."""
    size, end, count = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            end += struct.unpack("<Q", head)[0] + 16
            if end > size:
                break
            file.seek(end)
            count += 1
    return count
