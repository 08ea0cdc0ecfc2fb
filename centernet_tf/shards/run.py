"""The folder of a run over very many images: what it is of, which blocks are missing, and the sum of all.

    run.json          model, threshold, input and categories as in `detect`'s JSON, and what else the results depend on
    images.jsonl      the names of all images, sorted: those of block 0 first
    part-00000.jsonl  the rows of block 0 (.parquet), whole or not there
    summary.json      counts and speed, once nothing is missing

A part is there or is missing; nothing else says how far a run came, so a run that was killed at any moment goes on.
"""

import collections
import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.host import files
from centernet_tf.host.lock import locked
from centernet_tf.shards import listing
from centernet_tf.shards.formats import Row, read_file
from centernet_tf.shards.listing import Block

RUN_FILE, LIST_FILE, SUMMARY_FILE = "run.json", "images.jsonl", "summary.json"
EXAMPLES = 20  # images that could not be read, told by name


@dataclasses.dataclass
class Tally:
    """What all parts of a run hold.

    Attributes:
        images: That were searched.
        bad: That could not be read.
        objects: Found of each class, by name.
        examples: (name, reason) of the first bad ones.
    """

    images: int = 0
    bad: int = 0
    objects: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    examples: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def add(self, row: Row) -> None:
        """Counts one image."""
        if "detections" in row:
            self.images += 1
            self.objects.update(one["category"] for one in row["detections"])
            return
        self.bad += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append((row["file_name"], row["reason"]))


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that has begun.

    Attributes:
        folder: Its folder.
        format: Of its parts, in `formats.FORMATS`.
        blocks: All of them, in order.
    """

    folder: Path
    format: str
    blocks: Sequence[Block]

    def part(self, number: int) -> Path:
        """Where the rows of a block go."""
        return self.folder / f"part-{number:05d}.{self.format}"

    def missing(self) -> list[Block]:
        """The blocks that have no results yet."""
        return [block for block in self.blocks if not self.part(block.number).exists()]

    def rows(self) -> Iterator[Row]:
        """The rows of all images, in order.

        Raises:
            DataError: A part is missing or damaged, or has not exactly one row of each of its images, in order.
        """
        for block in self.blocks:
            path, count = self.part(block.number), 0
            for row in read_file(path, self.format):
                count += 1
                if row.get("id") != block.first + count:
                    break
                yield row
            if count != block.count or row.get("id") != block.first + count:
                raise DataError(
                    f"{path}: does not answer each of its {block.count} images once. Remove it and run again: what is "
                    "missing is searched."
                )

    def finish(self, **told: Any) -> Tally:
        """Counts what all parts hold, and writes the summary with what else is told."""
        files.clear_left_behind(self.folder)  # by workers that were killed
        tally = Tally()
        for row in self.rows():
            tally.add(row)
        counts = {"images": tally.images, "bad": tally.bad, "objects": dict(sorted(tally.objects.items()))}
        files.write_json(self.folder / SUMMARY_FILE, {**counts, **told})
        return tally


@contextlib.contextmanager
def begun(
    folder: Path, inputs: Sequence[str], settings: Mapping[str, Any], format: str, block_size: int
) -> Iterator[Run]:
    """Begins a run, or goes on with one; nobody else may work in its folder meanwhile.

    Args:
        folder: Where all of it is written.
        inputs: As of `listing.listed`.
        settings: What the results depend on; as JSON holds it.
        format: In `formats.FORMATS`.
        block_size: Images in a block.

    Raises:
        UsageError: The run that began there had other images or settings, or the folder holds parts of no known run.
        DataError: It cannot be written, or its list was changed.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: this is a file. Give a folder to write to.")
    with locked(folder), listing.listed(inputs) as names:
        files.clear_left_behind(folder)
        path = folder / RUN_FILE
        wanted = {**settings, "format": format, "block_size": block_size}
        if path.exists():
            wanted["images"], wanted["list_sha256"] = listing.digest_of(names)
            _check_same(folder, _read(path), json.loads(json.dumps(wanted)))
        else:
            _check_empty(folder)
            wanted["images"], wanted["list_sha256"] = listing.write_list(folder / LIST_FILE, names)
            files.write_json(path, wanted)
        blocks = listing.blocks_of(folder / LIST_FILE, block_size, wanted["list_sha256"])
        yield Run(folder, format, blocks)


def open_run(folder: str | Path) -> Run:
    """Opens a run whose results are to be read: `open_run("found").rows()`.

    Raises:
        UsageError: There is none.
        DataError: It is damaged.
    """
    folder = Path(folder)
    if not (folder / RUN_FILE).exists():
        raise UsageError(f"{folder}: holds no {RUN_FILE}. Give the folder that `centernet detect --format` wrote.")
    told = _read(folder / RUN_FILE)
    try:
        blocks = listing.blocks_of(folder / LIST_FILE, told["block_size"], told["list_sha256"])
        return Run(folder, told["format"], blocks)
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / RUN_FILE}: lacks {error}. Begin again in another folder.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Begin again in another folder.") from error
    if not isinstance(told, dict):
        raise DataError(f"{path}: describes no run. Begin again in another folder.")
    return told


def _check_same(folder: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in now:
        if was.get(key) == now[key]:
            continue
        if key == "list_sha256":
            raise UsageError(
                f"{folder}: was begun with {was.get('images')} images, and {now['images']} were given now, or others. "
                "Give the same ones to go on, or another --out."
            )
        if key != "images":
            raise UsageError(
                f"{folder}: was begun with {key} {brief(was.get(key))}, not {brief(now[key])}. Give the same to go on, "
                "or another --out."
            )


def _check_empty(folder: Path) -> None:
    if other := next(folder.glob("part-*"), None):
        raise UsageError(f"{folder}: holds {other.name}, which no {RUN_FILE} describes. Give another --out.")
