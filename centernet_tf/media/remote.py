"""Inputs that are no files here: addresses of streams, which OpenCV opens, and of files in buckets."""

import re
import urllib.parse
from pathlib import Path

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket
from centernet_tf.host.reading import scheme_of

LIVE = ("rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
STREAMS = ("http", "https", *LIVE)  # as FFmpeg in OpenCV's wheels opens them


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
    if scheme in STREAMS or not (bucket := _bucket(address)):
        return
    try:
        bucket.check()
    except UsageError as error:
        raise UsageError(
            f"{without_password(address)}: {scheme}:// cannot be opened here. Videos and streams: "
            f"{', '.join(STREAMS)}; images: {', '.join(sorted(_file_schemes()))}, and what fsspec opens: {error}"
        ) from None


def files_at(address: str, suffixes: tuple[str, ...]) -> list[str]:
    """The file itself, or the files of these suffixes directly in a folder, sorted.

    Raises:
        UsageError: There is nothing.
        DataError: The server does not answer.
    """
    from tensorflow.io import gfile

    bucket = _bucket(address)
    try:
        if bucket.is_dir() if bucket else gfile.isdir(address):
            found = (one.name for one in bucket.glob("*")) if bucket else gfile.listdir(address)
            names = (name for name in found if not name.startswith("."))
            inside = [f"{address.rstrip('/')}/{name}" for name in names if name.lower().endswith(suffixes)]
            if not inside:
                raise UsageError(f"{address}: no images directly in this folder. Known are {', '.join(suffixes)}.")
            return sorted(inside)
        if not (bucket.exists() if bucket else gfile.exists(address)):
            raise UsageError(f"{address}: no such file or folder.")
    except _failures() as error:
        raise _unread(address, error) from None
    return [address]


def read_file(address: str) -> bytes:
    """Reads a whole file. Raises DataError where that fails."""
    from tensorflow.io import gfile

    if scheme_of(address) in STREAMS:
        known = ", ".join(sorted(_file_schemes()))
        raise DataError(
            f"{address}: images are read from files and {known}, and what fsspec opens. Copy it here first."
        )
    try:
        if bucket := _bucket(address):
            return bucket.read_bytes()
        with gfile.GFile(address, "rb") as file:
            return file.read()
    except _failures() as error:
        raise _unread(address, error) from None


def _bucket(address: str) -> Bucket | None:
    """What fsspec opens of the addresses that TensorFlow does not."""
    return None if scheme_of(address) in _file_schemes() else Bucket(address.rstrip("/"))


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
