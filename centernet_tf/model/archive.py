"""The .keras archive as a file from elsewhere: how large its parts say they become is known before one is read."""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from centernet_tf.errors import UsageError

CARD = "centernet.json"
WEIGHTS = "model.weights.h5"
# Bytes that texts may have; those of the largest network here are some hundred times smaller.
MOST = {CARD: 1 << 24, "metadata.json": 1 << 20, "config.json": 1 << 26}
MOST_REST = 1 << 26  # bytes of all other parts together, which our files do not have
EXPANSION = 20  # Weights hardly shrink; those of a bomb do, a thousandfold.
FREE = 1 << 26  # bytes that weights may grow to in any case


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a .keras file, all of whose parts are of a size that can be read.

    Raises:
        UsageError: It is none, is damaged, or would become much larger than any model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"{path}: not a .keras file, or one that was cut off ({error}). Give one that `centernet train` wrote."
        ) from None


def check_weights(path: Path) -> None:
    """Looks at the arrays of the weights without reading their values.

    Raises:
        UsageError: One is packed so that it would fill the memory, or lies in another file.
    """
    with open_archive(path) as archive:
        if WEIGHTS not in archive.namelist():
            return  # Keras says so.
        packed = archive.getinfo(WEIGHTS).compress_type != zipfile.ZIP_STORED
        with archive.open(WEIGHTS) as part:
            try:
                # One that is stored as it is can be looked at from place to place.
                with h5py.File(io.BytesIO(part.read()) if packed else part, "r") as weights:
                    _check_arrays(path, weights)
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                if isinstance(error, UsageError):
                    raise
                raise UsageError(
                    f"{path}: the network in it cannot be rebuilt: its weights are damaged ({error}). Copy the file "
                    "again."
                ) from None


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    rest = 0
    for part in archive.infolist():
        limit = MOST.get(part.filename)
        if part.filename == WEIGHTS:
            limit = max(FREE, EXPANSION * part.compress_size)
        elif limit is None:
            rest += part.file_size
            limit = MOST_REST
        if max(part.file_size, rest if part.filename not in (*MOST, WEIGHTS) else 0) > limit:
            raise UsageError(
                f"{path}: {part.filename!r:.100} in it grows from {part.compress_size} to {part.file_size} bytes, more "
                f"than a model's {limit}. Do not use this file."
            )


def _check_arrays(path: Path, weights: h5py.File) -> None:
    room = max(FREE, EXPANSION * path.stat().st_size)
    grown = 0

    def visit(name: str, item: object) -> None:
        nonlocal grown
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise UsageError(f"{path}: its weights {name!r:.100} lie in another file. Do not use this file.")
            grown += item.nbytes
            if grown > room:
                raise UsageError(f"{path}: its weights grow to more than {room} bytes. Do not use this file.")

    weights.visititems(visit)
