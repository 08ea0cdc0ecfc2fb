"""Record shards that get their names only when all of them are complete."""

import json
import re
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml

from centernet_tf.data.dataset import DATASET_FILE, Shard, sha256_of
from centernet_tf.errors import UsageError
from centernet_tf.host.bucket import Bucket, put_text
from centernet_tf.host.files import sync_file
from centernet_tf.host.strict_yaml import parse_file

NAMING_FILE = ".naming.json"  # While shards get their names: which are ours, should the run be killed there.
SHARD_BYTES = 100_000_000
MAX_SHARDS = 500  # all are open at once, and systems allow about a thousand open files


class ShardFiles:
    """Record files under temporary names; `sizes` counts the records of each."""

    def __init__(self, directory: Path, count: int | None) -> None:
        self._directory, self._count = directory, count
        self._writers: list[tf.io.TFRecordWriter] = []
        self._bytes, self._index, self._video = 0, 0, ""
        self.paths: list[Path] = []
        self.sizes: list[int] = []

    def __enter__(self) -> "ShardFiles":
        for _ in range(self._count or 1):
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()

    def write(self, serialized: bytes, video: str = "") -> None:
        """Adds a record; those of one video, which follow one another, come into one shard."""
        new = not video or video != self._video
        if self._count is None and self._bytes + len(serialized) > SHARD_BYTES and self.sizes[-1] and new:
            self._writers[-1].close()
            self._open()
        if new:
            self._index = self.sizes.index(min(self.sizes)) if self._count else len(self.sizes) - 1
        self._video = video
        self._writers[self._index].write(serialized)
        self._bytes += len(serialized)
        self.sizes[self._index] += 1

    def publish(self, directory: Path | Bucket, split: str) -> tuple[Shard, ...]:
        """Gives complete shards their names, after what described the old ones is gone; to a bucket they are sent."""
        total = len(self.paths)
        for path in self.paths:
            sync_file(path)
        checksums = [sha256_of(path) for path in self.paths]
        finals = [directory / f"{split}-{index:05d}-of-{total:05d}.tfrecord" for index in range(total)]
        old = check_only_ours(directory, split)
        names = sorted(old | {path.name for path in finals})
        put_text(directory / NAMING_FILE, json.dumps({"shards": names}) + "\n")
        (directory / DATASET_FILE).unlink(missing_ok=True)
        for name in old:
            (directory / name).unlink(missing_ok=True)
        shards = []
        for index, (path, final) in enumerate(zip(self.paths, finals)):
            size = path.stat().st_size
            if isinstance(final, Bucket):
                final.put(path)
                path.unlink()
            else:
                path.replace(final)
            shards.append(Shard(final, self.sizes[index], size, checksums[index]))
        return tuple(shards)

    def _open(self) -> None:
        self.paths.append(self._directory / f"{len(self.paths):05d}")
        self._writers.append(tf.io.TFRecordWriter(str(self.paths[-1])))
        self.sizes.append(0)
        self._bytes = 0


def check_only_ours(directory: Path | Bucket, split: str) -> set[str]:
    """Checks that a directory of records holds nothing that writing them there would destroy.

    Returns:
        Names of the shards that an earlier run of this split wrote, which dataset.yaml lists, or the notes of a run
        that was killed.

    Raises:
        UsageError: There are other record files, or a dataset.yaml that lists no shards.
    """
    if (directory / DATASET_FILE).exists() and _listed(directory) is None:
        raise UsageError(
            f"{directory / DATASET_FILE}: does not describe records, and would be replaced. Move it away, or give "
            "another directory."
        )
    named = re.compile(re.escape(split) + r"-\d{5}-of-\d{5}\.tfrecord")
    there = {path.name for path in directory.glob("*.tfrecord")}
    if others := sorted(name for name in there if not named.fullmatch(name)):
        raise UsageError(
            f"{directory}: holds {others[0]}, which is not of split {split!r}. "
            f"Each split has its own directory; try {directory / split}."
        )
    ours = (_listed(directory) or set()) | _being_named(directory)
    if foreign := sorted(there - ours):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise UsageError(
            f"{directory}: holds {foreign[0]}{more}, which no {DATASET_FILE} lists, so it may be another program's and "
            "is not replaced. Move such files away, or give another directory."
        )
    return there & ours


def _listed(directory: Path | Bucket) -> set[str] | None:
    """What dataset.yaml lists; none where there is no such file, None where it is no description of records."""
    path = directory / DATASET_FILE
    if not path.exists():
        return set()
    try:
        return _names(parse_file(path))
    except (OSError, yaml.YAMLError):
        return None


def _being_named(directory: Path | Bucket) -> set[str]:
    try:
        return _names(json.loads((directory / NAMING_FILE).read_text(encoding="utf-8"))) or set()
    except (OSError, ValueError):
        return set()


def _names(content: Any) -> set[str] | None:
    rows = content.get("shards") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return None
    return {str(row.get("file") if isinstance(row, dict) else row) for row in rows}
