"""Files that are written whole or not at all: under a temporary name first, so that an older one stays until then.

What is no file is no file afterwards either: devices, pipes and names of open files, such as /dev/stdout, are written
into. A symbolic link to a file is replaced by the new file, never followed, so that nothing lands where a link leads.
"""

import contextlib
import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.reading import address_in

_MARK = ".writing-"  # in every temporary name
_LONGEST = 40  # letters of a name that its temporary one repeats; systems allow 255 bytes
_REMEDIES = {
    "Free some space there, or give another place.": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "Give a place that you may write to.": (errno.EACCES, errno.EPERM, errno.EROFS),
}


@contextlib.contextmanager
def whole(path: str | Path, sync: bool = True) -> Iterator[Path]:
    """Gives the path to write a file at, for libraries that open files themselves.

    Args:
        path: What the file is called in the end; folders on the way are made.
        sync: Wait until the disk has it. Leave it out for many small files that can be made again.

    Yields:
        A path beside it with the same suffix, which is renamed at the end or removed where anything fails; `path`
        itself where that is a device, a pipe or an open file.

    Raises:
        DataError: It cannot be written: a full disk, no permission. An older file is then as it was.
        UsageError: It was an address such as s3://.
    """
    path = Path(path)
    if address := address_in(path):
        raise UsageError(f"{address} is in a bucket, where only records are written. Give a path of this machine.")
    if writes_straight(path):
        with telling(path):
            yield path
        return
    temporary = beside(path)
    with telling(path, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with telling(path, temporary):
            yield temporary
            if sync:
                sync_file(temporary)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: str | Path, mode: str = "w", sync: bool = True) -> Iterator[IO[Any]]:
    """Opens a file to write as `whole` does: "wb", or "w" for text in UTF-8 with line ends as written.

    Bytes of file names that are no UTF-8 become escapes such as \\udcff, from which JSON gets the name back.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    # What is there already, such as the output of this program in a redirected /dev/stdout, is not cut off.
    mode = mode.replace("w", "a") if writes_straight(path) else mode
    with whole(path, sync) as place, place.open(mode, **text) as file:
        yield file


@contextlib.contextmanager
def whole_folder(path: str | Path, sync: bool = True) -> Iterator[Path]:
    """As `whole`, for a folder of files, which get their names when all of them are complete.

    Where the folder exists, they are moved into it, and files of the same names are replaced.
    """
    path = Path(path)
    temporary = path / f"{_MARK}{_unique()}" if path.is_dir() else beside(path)
    with telling(path, temporary, path.parent):
        temporary.mkdir(parents=True)
    try:
        with telling(path, temporary):
            yield temporary
            files = sorted(file for file in temporary.rglob("*") if not file.is_dir())
            for file in files if sync else ():
                sync_file(file)
            if path.is_dir():
                _move(files, temporary, path)
            else:
                temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes, sync: bool = True) -> None:
    """Writes a file as `whole` does."""
    with whole_file(path, "wb", sync) as file:
        file.write(content)


def write_text(path: str | Path, content: str, sync: bool = True) -> None:
    """Writes text in UTF-8 as `whole` does."""
    with whole_file(path, "w", sync) as file:
        file.write(content)


def write_json(path: str | Path, content: Any) -> None:
    """Writes JSON as `whole` does, indented and with letters of all languages as they are."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def clear_left_behind(folder: Path) -> None:
    """Removes the temporary files that killed runs left in a folder; only for who holds the folder alone."""
    for path in folder.glob(f"*{_MARK}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def writes_straight(path: Path) -> bool:
    """Whether a path is written into as it is: a device, a pipe, a socket, or the name of an open file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _names_open_file(path)


def _names_open_file(path: Path) -> bool:
    """Whether a path or a link that it leads through is in /proc or /dev/fd, as /dev/stdout is; its file is no ours."""
    for _ in range(40):
        path = path.parent.resolve() / path.name
        if path.is_relative_to("/proc") or path.is_relative_to("/dev/fd"):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return False


@contextlib.contextmanager
def telling(path: Path, *own: Path, kinds: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns errors of the system into a DataError that names `path`, but for those about other files than `own`.

    Args:
        path: What is written.
        own: Further files and folders that this needs.
        kinds: What libraries raise beside OSError where they cannot write.
    """
    try:
        yield
    except (OSError, *kinds) as error:
        filename = getattr(error, "filename", None)
        named = os.fsdecode(filename) if isinstance(filename, str | bytes) else None
        if named and not any(named.startswith(str(place)) for place in (path, *own)):
            raise
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> DataError:
    """What to say where a file or folder cannot be written."""
    number = getattr(error, "errno", None)
    remedy = next((text for text, numbers in _REMEDIES.items() if number in numbers), "Check the path and the disk.")
    reason = " ".join(str(getattr(error, "strerror", None) or error).split())
    return DataError(f"{path}: cannot be written ({reason}). {remedy}")


def sync_file(path: Path) -> None:
    """Waits until the disk has a file. Windows wants it opened for writing."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def beside(path: Path) -> Path:
    """A temporary name in the same folder, with the same suffix, that no other program uses."""
    return path.with_name(f".{path.stem[:_LONGEST]}{_MARK}{_unique()}{path.suffix}")


def _unique() -> str:
    """Keeps apart two programs, and two threads of one, that write the same file."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _move(files: list[Path], source: Path, target: Path) -> None:
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
