"""Inputs that are no files here: addresses of streams, which OpenCV opens, and of files, which TensorFlow reads."""

import re
import urllib.parse
from pathlib import Path

from centernet_tf.errors import DataError, UsageError

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
LIVE = ("rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
STREAMS = ("http", "https", *LIVE)  # as FFmpeg in OpenCV's wheels opens them


def scheme_of(text: str) -> str:
    """ "rtsp" of "rtsp://camera/1"; "" of a path of this machine. A second letter tells C:// from a scheme."""
    match = ADDRESS.match(text)
    return match[1].lower() if match else ""


def without_password(address: str) -> str:
    """An address as results and messages may show it."""
    parts = urllib.parse.urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()


def file_name(address: str) -> tuple[str, str]:
    """(stem, host) of an address, of characters that any file system takes."""
    parts = urllib.parse.urlsplit(address)
    last = Path(urllib.parse.unquote(parts.path).rstrip("/")).stem
    host = (parts.hostname if parts.scheme in STREAMS else parts.netloc) or parts.scheme
    stem, host = (re.sub(r"[^\w.-]+", "_", text).strip("._")[:80] for text in (last, host))
    return stem or host or "stream", host or "stream"


def check_scheme(address: str) -> None:
    """Raises UsageError for an address that nothing here opens."""
    scheme = scheme_of(address)
    if scheme not in STREAMS and scheme not in (known := _file_schemes()):
        raise UsageError(
            f"{without_password(address)}: {scheme}:// cannot be opened here. Videos and streams: "
            f"{', '.join(STREAMS)}; images: {', '.join(sorted(known))}. Copy others here first."
        )


def files_at(address: str, suffixes: tuple[str, ...]) -> list[str]:
    """The file itself, or the files of these suffixes directly in a folder, sorted.

    Raises:
        UsageError: There is nothing.
        DataError: The server does not answer.
    """
    from tensorflow.io import gfile

    try:
        if gfile.isdir(address):
            names = (name for name in gfile.listdir(address) if not name.startswith("."))
            inside = [f"{address.rstrip('/')}/{name}" for name in names if name.lower().endswith(suffixes)]
            if not inside:
                raise UsageError(f"{address}: no images directly in this folder. Known are {', '.join(suffixes)}.")
            return sorted(inside)
        if not gfile.exists(address):
            raise UsageError(f"{address}: no such file or folder.")
    except _failures() as error:
        raise _unread(address, error) from None
    return [address]


def read_file(address: str) -> bytes:
    """Reads a whole file. Raises DataError where that fails."""
    from tensorflow.io import gfile

    if scheme_of(address) not in (known := _file_schemes()):
        raise DataError(f"{address}: images are read from files and {', '.join(sorted(known))}. Copy it here first.")
    try:
        with gfile.GFile(address, "rb") as file:
            return file.read()
    except _failures() as error:
        raise _unread(address, error) from None


def _file_schemes() -> set[str]:
    """Those of TensorFlow here; packages such as tensorflow-io add some."""
    from tensorflow.io import gfile

    return {scheme for scheme in gfile.get_registered_schemes() if scheme and scheme != "file"}


def _failures() -> tuple[type[Exception], ...]:
    from tensorflow import errors

    return errors.OpError, OSError, ValueError


def _unread(address: str, error: Exception) -> Exception:
    if isinstance(error, UsageError):
        return error
    return DataError(f"{address}: cannot be read ({str(error)[:200]}). Check the address and your rights to it.")
