"""Record shards that get their names only when all of them are complete."""

import os
from pathlib import Path

import tensorflow as tf

from centernet_tf.data.dataset import DATASET_FILE, Shard, sha256_of

SHARD_BYTES = 100_000_000
MAX_SHARDS = 500  # all are open at once, and systems allow about a thousand open files


class ShardFiles:
    """Record files under temporary names; `sizes` counts the records of each."""

    def __init__(self, directory: Path, count: int | None) -> None:
        self._directory, self._count = directory, count
        self._writers: list[tf.io.TFRecordWriter] = []
        self._bytes = 0
        self.paths: list[Path] = []
        self.sizes: list[int] = []

    def __enter__(self) -> "ShardFiles":
        for _ in range(self._count or 1):
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()

    def write(self, serialized: bytes) -> None:
        if self._count is None and self._bytes + len(serialized) > SHARD_BYTES and self.sizes[-1]:
            self._writers[-1].close()
            self._open()
        index = sum(self.sizes) % self._count if self._count else -1
        self._writers[index].write(serialized)
        self._bytes += len(serialized)
        self.sizes[index] += 1

    def publish(self, directory: Path, split: str) -> tuple[Shard, ...]:
        """Gives complete shards their names, after what described the old ones is gone."""
        total = len(self.paths)
        for path in self.paths:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        checksums = [sha256_of(path) for path in self.paths]
        (directory / DATASET_FILE).unlink(missing_ok=True)
        for old in directory.glob("*.tfrecord"):
            old.unlink()
        shards = []
        for index, path in enumerate(self.paths):
            final = directory / f"{split}-{index:05d}-of-{total:05d}.tfrecord"
            path.replace(final)
            shards.append(Shard(final, self.sizes[index], final.stat().st_size, checksums[index]))
        return tuple(shards)

    def _open(self) -> None:
        self.paths.append(self._directory / f"{len(self.paths):05d}")
        self._writers.append(tf.io.TFRecordWriter(str(self.paths[-1])))
        self.sizes.append(0)
        self._bytes = 0
