"""Annotated images to record shards: every image and every box ends up in the records or in the report."""

import contextlib
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from centernet_tf.data.dataset import Dataset, Shard, save_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.outcomes import Outcome, Runner, in_threads
from centernet_tf.datasets.report import Report
from centernet_tf.datasets.shard_files import MAX_SHARDS, NAMING_FILE, ShardFiles, check_only_ours
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket, as_place, put_text
from centernet_tf.host.files import clear_left_behind
from centernet_tf.host.lock import locked
from centernet_tf.host.reading import is_text, printable
from centernet_tf.properties.property import Property

_REMEDY = "Correct it, or pass --skip-bad to leave out what cannot be used and have it listed."


def write_records(
    items: Iterable[Item],
    *,
    directory: str | Path | Bucket,
    name: str,
    split: str,
    classes: Sequence[str],
    properties: Sequence[Property] = (),
    shards: int | None = None,
    workers: int | None = None,
    skip_bad: bool = False,
    runner: Runner | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Writes one split of a data set as record shards and their dataset.yaml.

    The same items give the same bytes, whatever the number of workers. Shards get their names only when all are
    complete, and dataset.yaml comes last: a run that was killed leaves no half-written shard that looks whole.

    Args:
        items: Images in ascending order of their key; read once, so they may be made on the way.
        directory: Where shards and dataset.yaml go. Records of the same split that an earlier run wrote are replaced.
            An address such as "s3://bucket/mine/train" gets shards that were written in a temporary folder first, when
            all are complete; no lock is held there.
        name: Name of the data set.
        split: "train", "val", ...; shards are called after it.
        classes: Class names in the order of the class numbers.
        properties: What objects have besides box and class, with all that the annotations say of it.
        shards: Number of files, filled in turn; None starts a new one after about 100 MB.
        workers: Threads that read, check and encode; None takes one for each core.
        skip_bad: Leave out images and boxes that cannot be used and report them, instead of stopping at the first.
        runner: Works out what becomes of each image; None for threads.
        progress: Called with the number of images done so far.

    Returns:
        What became of every image and box; dataset.yaml holds it too.

    Raises:
        UsageError: There are no images, a setting is impossible, another program is at work in the directory, it holds
            files that are not of an earlier run, or nothing here opens such addresses.
        DataError: An image or box cannot be used, two images share an id, or the files cannot be written.
    """
    directory = as_place(directory)
    _check_settings(directory, split, classes, shards, workers)
    properties = tuple(properties)
    try:
        with _workplace(directory, split) as temporary:
            report = Report(properties={one.name: Counter() for one in properties})
            with ShardFiles(temporary, shards) as files:
                for outcome in (runner or in_threads(workers))(items, tuple(classes), properties, temporary):
                    _count(report, outcome, skip_bad)
                    if outcome.serialized is not None:
                        files.write(outcome.serialized, outcome.item.video)
                    if progress:
                        progress(report.images_in)
            _check_written(report, files)
            parts = files.publish(directory, split)
            save_dataset(_describe(directory, name, split, classes, report, parts, properties))
            (directory / NAMING_FILE).unlink(missing_ok=True)
    except (OSError, tf.errors.OpError) as error:
        raise DataError(
            f"{directory}: the records cannot be written ({error}). Check the free space and the permissions."
        ) from error
    return report


@contextlib.contextmanager
def _workplace(directory: Path | Bucket, split: str) -> Iterator[Path]:
    """A temporary directory beside the final names, so that giving a name is no copy; clears those of killed runs."""
    if isinstance(directory, Bucket):
        check_only_ours(directory, split)
        _check_rights(directory)
        with tempfile.TemporaryDirectory(prefix="centernet-writing-") as name:
            yield Path(name)
        return
    with locked(directory):
        check_only_ours(directory, split)
        clear_left_behind(directory)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_rights(bucket: Bucket) -> None:
    """Raises OSError where nothing may be written, before hours go into what would be."""
    probe = bucket / ".writing"
    put_text(probe, "")
    probe.unlink()


def _count(report: Report, outcome: Outcome, skip_bad: bool) -> None:
    name = outcome.item.filename
    if not skip_bad:
        for fault in (outcome.broken, *outcome.faults, *outcome.pair_faults):
            if fault is not None:
                raise DataError(f"{name}: {fault.detail}. {_REMEDY}")
    report.images_in += 1
    report.boxes_in += outcome.item.num_boxes
    _count_pairs(report, outcome)
    if outcome.broken:
        report.images_skipped.append((name, outcome.broken.detail))
        report.boxes_dropped["image skipped"] += outcome.item.num_boxes
        return
    report.images_written += 1
    report.images_empty += not outcome.classes and not outcome.ignored
    report.images_changed.update([outcome.change] if outcome.change else [])
    report.boxes_written += len(outcome.classes) + len(outcome.ignored)
    report.boxes_clipped += outcome.clipped
    report.boxes_dropped.update(outcome.item.left_out)
    report.boxes_dropped.update(fault.reason for fault in outcome.faults)
    report.dropped.extend((name, fault.detail) for fault in outcome.faults)
    report.objects_per_class.update(outcome.classes)
    report.ignored.update(outcome.ignored)
    for own, counts in outcome.counts.items():
        report.properties[own].update(counts)


def _count_pairs(report: Report, outcome: Outcome) -> None:
    left_out, faults = outcome.item.pairs_left_out, outcome.pair_faults
    if outcome.broken:
        given = outcome.pairs + len(outcome.item.pair_faults) + sum(left_out.values())
        report.pairs_in += given
        report.pairs_dropped.update({"image skipped": given} if given else {})
        return
    report.pairs_in += outcome.pairs + len(faults) + sum(left_out.values())
    report.pairs_written += outcome.pairs
    report.pairs_dropped.update(left_out)
    report.pairs_dropped.update(fault.reason for fault in faults)
    report.dropped_pairs.extend((outcome.item.filename, fault.detail) for fault in faults)


def _describe(
    directory: Path | Bucket,
    name: str,
    split: str,
    classes: Sequence[str],
    report: Report,
    shards: tuple[Shard, ...],
    properties: tuple[Property, ...],
) -> Dataset:
    return Dataset(
        directory=directory,
        name=name,
        split=split,
        classes=tuple(classes),
        images=report.images_written,
        objects=report.boxes_written,
        objects_per_class={name: report.objects_per_class[name] for name in classes},
        files=shards,
        report=report.to_dict(),
        properties=properties,
    )


def _check_settings(
    directory: Path | Bucket, split: str, classes: Sequence[str], shards: int | None, workers: int | None
) -> None:
    if not re.fullmatch(r"[\w.-]+", split):
        raise UsageError(f"split {split!r} becomes part of file names; use letters, digits, '-', '_' and '.'.")
    if not classes or len(set(classes)) != len(classes):
        raise UsageError(f"classes are {list(classes)!r:.80}; expected at least one name, and none twice.")
    if odd := [name for name in classes if not is_text(name)]:
        raise UsageError(f"class {printable(odd[0])!r:.80} is no text in UTF-8. Correct the annotations.")
    if shards is not None and not 1 <= shards <= MAX_SHARDS:
        raise UsageError(f"shards is {shards}; expected 1 to {MAX_SHARDS}, or none for files of about 100 MB.")
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}; expected at least 1.")
    if isinstance(directory, Bucket):
        directory.check()
    if directory.is_file() or (directory.exists() and not directory.is_dir()):
        raise UsageError(f"{directory}: is a file; give a directory for the records.")


def _check_written(report: Report, files: ShardFiles) -> None:
    if not report.images_in:
        raise UsageError("there are no images to write. Check the paths and the split.")
    if not report.images_written:
        name, reason = report.images_skipped[0]
        raise DataError(f"none of the {report.images_in} images can be used; the first, {name}: {reason}.")
    if report.images_written < len(files.paths):
        raise UsageError(f"shards is {len(files.paths)}, more than the {report.images_written} images. Use fewer.")
    if not all(files.sizes):
        filled = sum(map(bool, files.sizes))
        raise UsageError(
            f"shards is {len(files.paths)}, but only {filled} have records: a video stays in one shard. Use {filled}."
        )
