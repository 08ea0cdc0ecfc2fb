"""One program at a time in a folder: a second one is told who is at work there.

The operating system holds the lock (flock, on Windows a locked byte) and lets it go when its holder ends, however that
happens, so that the lock file of a program that was killed stops nobody. What stands in it is for people.
"""

import contextlib
import datetime
import errno
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from centernet_tf.errors import UsageError
from centernet_tf.host.files import telling

if os.name == "nt":
    import msvcrt
else:
    import fcntl

LOCK_FILE = ".lock"
_BYTE = 1 << 30  # Windows locks bytes; this one is behind the text, which so can be read.
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # A link would lead to what is not ours to empty.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder, which is made where it is missing, for as long as the context lasts.

    Raises:
        UsageError: Another program, or another thread of this one, is at work there; it is named.
        DataError: The folder cannot be made or written.
    """
    with telling(folder, folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
        file = _take(folder)
    try:
        yield
    finally:
        _release(folder / LOCK_FILE, file)


def _take(folder: Path) -> IO[str]:
    path = folder / LOCK_FILE
    while True:
        file = open(os.open(path, _FLAGS, 0o666), "r+", encoding="utf-8")  # noqa: SIM115, PTH123
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _HELD:
                holder = file.read().strip() or "which did not say its name"
                file.close()
                raise UsageError(
                    f"{folder}: another program is at work in this folder ({holder}). Wait until it is done, or give "
                    "another folder."
                ) from None
            warnings.warn(
                f"{folder}: this file system knows no locks ({error.strerror}). Let no second program write there.",
                stacklevel=4,
            )
        if _is_still(path, file):
            break
        file.close()  # Its holder has just removed it; what stands there now is another file.
    try:
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {_now()}\n")
        file.flush()
    except OSError:
        _release(path, file)
        raise
    return file


def _release(path: Path, file: IO[str]) -> None:
    with contextlib.suppress(OSError):
        path.unlink()  # While it is held, so that the file which is removed is this one.
    with contextlib.suppress(OSError):
        file.close()
    if os.name == "nt":  # There no open file can be removed.
        with contextlib.suppress(OSError):
            path.unlink()


def _lock(file: IO[str]) -> None:
    if os.name == "nt":
        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(" ", "seconds")
