"""Reads MATLAB's MAT files through SciPy, whose reader ends the whole program at some damaged files."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

from centernet_tf.errors import DataError, UsageError

HEADER = 128  # bytes before the first variable
COMPRESSED = 15  # type of a variable that zlib packed, with a checksum
TRY = "import sys; from scipy.io import loadmat; loadmat(sys.argv[1], struct_as_record=False, squeeze_me=True)"


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MAT file by name; structs have their fields as attributes, single values are no arrays.

    Raises:
        UsageError: There is no such file.
        DataError: It is damaged, or of version 7.3.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise UsageError(f"{path}: no such file. Give a MAT file.")
    if not _is_packed(path):
        # Nothing tells whether such a file is whole, so that another process tries it first.
        tried = subprocess.run([sys.executable, "-c", TRY, str(path)], capture_output=True, check=False)
        if tried.returncode < 0:
            raise DataError(f"{path}: not readable as a MAT file (SciPy's reader died of it). Copy it again.")
    try:
        return loadmat(path, struct_as_record=False, squeeze_me=True)
    except NotImplementedError:
        raise DataError(f"{path}: a MAT file of version 7.3. Save it with -v7 in MATLAB.") from None
    except Exception as error:  # SciPy tells of damaged files by any kind of exception
        raise DataError(f"{path}: not readable as a MAT file ({str(error)[:200]}). Copy it again.") from error


def _is_packed(path: Path) -> bool:
    """Whether all variables are packed.

    Raises:
        DataError: One is not as it was when it was packed.
    """
    data = path.read_bytes()
    order, place = ("<" if data[126:128] == b"IM" else ">"), HEADER
    while place + 8 <= len(data):
        kind, size = struct.unpack(f"{order}II", data[place : place + 8])
        if kind != COMPRESSED:
            return False
        try:
            zlib.decompress(data[place + 8 : place + 8 + size])
        except zlib.error as error:
            raise DataError(f"{path}: not readable as a MAT file ({error}). Copy it again.") from None
        place += 8 + size
    return place == len(data) > HEADER
