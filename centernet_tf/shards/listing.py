"""The images of a run as one sorted list on disk, cut into numbered blocks.

The list is what a run can rely on when it goes on: the same images lie in the same blocks. It has a JSON text a line,
so that any name of a file fits in. However long it is, memory holds a part of it.
"""

import contextlib
import dataclasses
import hashlib
import heapq
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.files import whole_file
from centernet_tf.host.reading import is_folder, printable
from centernet_tf.host.spool import Spool
from centernet_tf.media import images, remote
from centernet_tf.media.sources import find_sources

LIST_SUFFIX = ".txt"
HELD = 500_000  # names sorted in memory at a time


@dataclasses.dataclass(frozen=True)
class Block:
    """Images that follow one another in the list.

    Attributes:
        number: From 0; the name of its results.
        first: Number of its first image in the list, from 0.
        count: Images in it.
        offset: Where its first line begins in the file, in bytes.
    """

    number: int
    first: int
    count: int
    offset: int


@contextlib.contextmanager
def listed(inputs: Sequence[str]) -> Iterator[Iterator[str]]:
    """Gives the names of all images, sorted, for one pass.

    Args:
        inputs: Images, folders, whose images are taken without those of subfolders and hidden ones, addresses as of
            `sources.find_sources`, and text files (.txt) with an image a line.

    Raises:
        UsageError: There is no such file, it is a video or no image by its suffix, an image is named twice, or there is
            none at all.
    """
    with contextlib.ExitStack() as stack:
        names = itertools.chain.from_iterable(_names(wanted) for wanted in inputs)
        spools = []
        while part := sorted(itertools.islice(names, HELD)):
            spools.append(stack.enter_context(contextlib.closing(Spool())))
            spools[-1].extend(part)
        if not spools:
            raise UsageError(f"{', '.join(map(printable, inputs))}: no image is named there.")
        yield _each_once(heapq.merge(*(map(json.loads, spool) for spool in spools)))


def _each_once(names: Iterable[str]) -> Iterator[str]:
    last = None
    for name in names:
        if name == last:
            raise UsageError(f"{printable(name)}: given twice, and every image is answered once. Leave out one.")
        yield name
        last = name


def _names(wanted: str) -> Iterator[str]:
    path = Path(wanted)
    if not remote.scheme_of(wanted) and is_folder(path):
        yield from _in_folder(path)
    elif not remote.scheme_of(wanted) and path.suffix.lower() == LIST_SUFFIX and path.exists():
        yield from _in_list(path)
    else:
        for source in find_sources([wanted]):
            yield _checked(str(source.place), source.name)


def _in_folder(folder: Path) -> Iterator[str]:
    found = False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.lower().endswith(images.SUFFIXES) or not entry.is_file():
                continue
            found = True
            yield str(folder / entry.name)
    if not found:
        raise UsageError(
            f"{printable(folder)}: no images directly in this folder; subfolders are not searched. "
            f"Known are files that end in {', '.join(images.SUFFIXES)}."
        )


def _in_list(path: Path) -> Iterator[str]:
    # Names of files need not be UTF-8; their bytes come through as they are.
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if name := line.rstrip("\r\n"):
                yield _checked(name, f"{printable(path)}: line {number}: {printable(name)}")


def _checked(name: str, told: str) -> str:
    scheme = remote.scheme_of(name)
    if scheme:
        remote.check_scheme(name)
    if scheme in remote.STREAMS or not name.lower().endswith(images.SUFFIXES):
        raise UsageError(
            f"{told}: no image by its name; results in shards are of images alone. Known are files that end in "
            f"{', '.join(images.SUFFIXES)}."
        )
    return name


def digest_of(names: Iterable[str]) -> tuple[int, str]:
    """How many names there are, and the SHA-256 of their list, which is not written."""
    return _tell(names, lambda line: None)


def write_list(path: Path, names: Iterable[str]) -> tuple[int, str]:
    """Writes the list, whole or not at all; as `digest_of`."""
    with whole_file(path, "wb") as file:
        return _tell(names, file.write)


def _tell(names: Iterable[str], write: Callable[[bytes], object]) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    for name in names:
        line = json.dumps(name).encode() + b"\n"
        digest.update(line)
        write(line)
        count += 1
    return count, digest.hexdigest()


def blocks_of(path: Path, size: int, expected: str) -> list[Block]:
    """Cuts a list into blocks of so many images, of which the last may have fewer.

    Raises:
        DataError: The list is not the one with the SHA-256 `expected`, or cannot be read.
    """
    digest, blocks, offset, count = hashlib.sha256(), [], 0, 0
    try:
        with path.open("rb") as lines:
            for count, line in enumerate(lines, start=1):
                if (count - 1) % size == 0:
                    blocks.append(Block(len(blocks), count - 1, size, offset))
                digest.update(line)
                offset += len(line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Begin again in another folder.") from error
    if digest.hexdigest() != expected:
        raise DataError(f"{path}: was changed since this run began. Begin again in another folder.")
    if blocks:
        blocks[-1] = dataclasses.replace(blocks[-1], count=count - blocks[-1].first)
    return blocks


def names_of(path: Path, block: Block) -> list[str]:
    """The names of the images of a block, in order."""
    with path.open("rb") as lines:
        lines.seek(block.offset)
        return [json.loads(line) for line in itertools.islice(lines, block.count)]
