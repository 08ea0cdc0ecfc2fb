"""Folders and files at addresses such as gs://, s3:// and hdfs://, as far as records need them; fsspec does the work.

Only records lie in buckets. Runs, models and results are written to folders of this machine, which can lock, rename and
append, as no bucket can.
"""

import contextlib
import fnmatch
import functools
import tempfile
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic

from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_bytes
from centernet_tf.host.reading import address_in, scheme_of


def as_place(place: "str | Path | Bucket") -> "Path | Bucket":
    """A path of this machine, or the address of a bucket.

    Raises:
        UsageError: A Path was made of an address, which takes a slash of it away.
    """
    if isinstance(place, Bucket):
        return place
    if isinstance(place, Path):
        if address := address_in(place):
            raise UsageError(f"{place}: give addresses as text, '{address}', for a Path loses a slash of them.")
        return place
    scheme = scheme_of(place)
    if scheme == "file":
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
    return Bucket(place.rstrip("/")) if scheme else Path(place)


@dataclass(frozen=True)
class Bucket:
    """A folder or file in a bucket, with those of pathlib's methods that records need.

    What a store's library raises comes as OSError, as from a disk.

    Attributes:
        address: "s3://bucket/folder", without a slash at the end.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> "Bucket":
        return Bucket(f"{self.address}/{name}")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    @property
    def parent(self) -> "Bucket":
        """The folder around it."""
        return Bucket(self.address.rpartition("/")[0])

    def check(self) -> None:
        """Raises UsageError where no package here opens this kind of address, or it holds a password."""
        _opened(self.address)

    def exists(self) -> bool:
        """Whether there is such a file or folder; what holds no file is no folder in most stores."""
        with self._asking() as (system, path):
            return system.exists(path)

    def is_file(self) -> bool:
        """Whether it is a file."""
        with self._asking() as (system, path):
            return system.isfile(path)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        with self._asking() as (system, path):
            return system.isdir(path)

    def glob(self, pattern: str) -> list["Bucket"]:
        """Files directly in this folder, or one below it, whose names match, such as "*.tfrecord"; sorted."""
        with self._asking() as (system, path):
            try:
                found = system.find(path, maxdepth=1 + pattern.count("/"))
            except FileNotFoundError:
                return []
            names = [str(one)[len(path.rstrip("/")) :].lstrip("/") for one in found]
        matching = [name for name in names if name.count("/") == pattern.count("/") and fnmatch.fnmatch(name, pattern)]
        return [self / name for name in sorted(matching)]

    def read_bytes(self) -> bytes:
        """The whole file."""
        with self._asking() as (system, path):
            return system.cat_file(path)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole file as text."""
        return self.read_bytes().decode(encoding)

    def fetch(self, target: Path) -> None:
        """Copies the file to this machine."""
        with self._asking() as (system, path):
            system.get_file(path, str(target))

    def put(self, source: Path) -> None:
        """Copies a file of this machine to here, and asks the store whether all of it has arrived.

        Stores show a file once it is whole, or for a while cut off, as disks do.
        """
        with self._asking() as (system, path):
            try:
                system.put_file(str(source), path)
            except FileNotFoundError:
                # A folder is missing, or the whole bucket, which nobody wants made where its name was mistyped.
                if not system.exists(path[: path.find("/", 1)]):
                    raise
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                system.put_file(str(source), path)
            system.invalidate_cache()
            arrived, sent = system.size(path), source.stat().st_size
        if arrived is not None and arrived != sent:
            raise OSError(f"{self}: {arrived} of {sent} bytes arrived")

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        with self._asking() as (system, path):
            try:
                system.rm_file(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    @contextlib.contextmanager
    def _asking(self) -> Iterator[tuple[Any, str]]:
        """The store and the path in it; libraries of stores raise classes of their own, which become OSError."""
        system, path = _opened(self.address)
        try:
            system.invalidate_cache()  # Others may have written there since.
            yield system, path
        except (OSError, UsageError):
            raise
        except Exception as error:
            raise OSError(f"{self}: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error


# As a setting: a path, or the address of a bucket.
Place = Annotated[
    Path,
    pydantic.WrapValidator(
        lambda given, other: as_place(given) if isinstance(given, Bucket) or scheme_of(str(given)) else other(given)
    ),
    pydantic.PlainSerializer(lambda place: place if isinstance(place, Path) else str(place)),
]


def put_text(place: Path | Bucket, text: str) -> None:
    """Writes a text file in UTF-8, as `put_bytes`."""
    put_bytes(place, text.encode("utf-8", "backslashreplace"))


def put_bytes(place: Path | Bucket, content: bytes, sync: bool = True) -> None:
    """Writes a file; a reader of a path sees the old one or the new one, never a part. `sync` as `files.whole`."""
    if isinstance(place, Path):
        write_bytes(place, content, sync)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "content")
        file.write_bytes(content)
        place.put(file)


@functools.lru_cache(maxsize=64)
def _opened(address: str) -> tuple[Any, str]:
    """fsspec's file system and the path in it."""
    parts = urllib.parse.urlsplit(address)
    if ":" in parts.netloc.rpartition("@")[0]:
        raise UsageError(
            f"{parts.scheme}://...@{parts.hostname}: passwords in addresses would stand in models and logs. Leave it "
            "out, and give it as the store's package takes it, by the environment or fsspec's configuration."
        )
    try:
        import fsspec
    except ImportError:
        raise UsageError(f"{address}: buckets need fsspec. pip install 'centernet_tf[buckets]'.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # packages of stores warn of each other's versions
            return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UsageError(
            f"{address}: a package is missing ({error}). For s3:// pip install s3fs, for gs:// gcsfs, for abfs:// "
            "adlfs, for hdfs:// pyarrow."
        ) from None
    except Exception as error:
        raise UsageError(f"{address}: cannot be opened ({type(error).__name__}: {str(error)[:200]}).") from error
