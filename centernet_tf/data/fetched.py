"""Shards of a bucket, fetched to this machine once: TensorFlow reads few kinds of addresses, and every epoch reads all.

A copy is called after its content, so that a shard which was written again is never taken for the old one.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket
from centernet_tf.host.files import telling
from centernet_tf.host.lock import locked

FOLDER = "CENTERNET_CACHE"  # An environment variable: where a machine keeps its copies is no setting of a run.
AT_ONCE = 4
_MARK = "centernet-records-"


def fetched(shards: Sequence[tuple[Bucket, int, str]]) -> list[Path]:
    """Copies of shards on this machine, fetched where they are not here yet.

    They are kept in the folder that the environment variable CENTERNET_CACHE names; without it, in a temporary one that
    is removed when this process ends.

    Args:
        shards: Address, bytes and SHA-256 of each, as dataset.yaml tells them.

    Returns:
        A path for each, whose last part is that of the address. Where there is no file at the address, there is none at
        the path, and where there is another than dataset.yaml tells, it is that.

    Raises:
        DataError: A shard cannot be fetched, or the disk has no room for all.
    """
    folder = _folder()
    wanted = [(shard, size, folder / digest / shard.name) for shard, size, digest in shards if _is_digest(digest)]
    if len(wanted) < len(shards):
        raise DataError(f"{shards[0][0].parent}: a SHA-256 in its dataset.yaml is none. Write the records again.")
    missing = [one for one in wanted if not _is_here(*one[1:])]
    _check_room(folder, missing)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        arrived = dict(zip(missing, pool.map(lambda one: _fetch(one[0], folder), missing)))
    return [arrived.get(one, one[2]) for one in wanted]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _fetch(shard: Bucket, folder: Path) -> Path:
    with telling(folder), tempfile.TemporaryDirectory(prefix="arriving-", dir=folder) as arriving:
        file = Path(arriving, "shard")
        try:
            shard.fetch(file)
        except FileNotFoundError:
            return folder / "missing" / shard.name
        except OSError as error:
            raise DataError(
                f"{shard}: cannot be fetched ({error}). Check the connection, your rights and the room in {folder}."
            ) from error
        place = folder / sha256_of(file) / shard.name
        place.parent.mkdir(exist_ok=True)
        file.replace(place)
    return place


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _is_here(size: int, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_room(folder: Path, missing: Sequence[tuple[Bucket, int, Path]]) -> None:
    needed, free = sum(size for _, size, _ in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{missing[0][0].parent}: its shards take {needed / 1e9:.1f} GB on this machine, and {folder} has room for "
            f"{free / 1e9:.1f}. Set the environment variable {FOLDER} to a folder on a larger disk."
        )


def _folder() -> Path:
    """Where copies are kept."""
    if not (named := os.environ.get(FOLDER)):
        return _temporary()
    folder = Path(named).expanduser()
    with telling(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.lru_cache(maxsize=1)
def _temporary() -> Path:
    """A folder of this process, held and in the end removed, as are those of processes that were killed."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_MARK}*"):
        with contextlib.suppress(UsageError, DataError, OSError), locked(left):  # Whose holder lives cannot be locked.
            shutil.rmtree(left, ignore_errors=True)
    stack = contextlib.ExitStack()
    folder = stack.enter_context(_held(root))
    atexit.register(stack.close)
    return folder


@contextlib.contextmanager
def _held(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_MARK, dir=root, ignore_cleanup_errors=True) as name, locked(Path(name)):
        yield Path(name)
