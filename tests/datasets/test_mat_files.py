"""MAT files are read, packed or not, and damage is told even where SciPy's reader ends the program at it."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from centernet_tf.datasets.mat_files import read_mat
from centernet_tf.errors import DataError, UsageError


def saved(packed):
    stream = io.BytesIO()
    savemat(stream, {"a": {"b": np.arange(4.0), "c": "text"}}, do_compression=packed)
    return bytearray(stream.getvalue())


def read(folder, data):
    (folder / "a.mat").write_bytes(data)
    return read_mat(folder / "a.mat")


@pytest.mark.parametrize("packed", [False, True])
def test_structs_have_attributes(packed, tmp_path):
    content = read(tmp_path, saved(packed))["a"]
    assert content.b.tolist() == [0, 1, 2, 3] and content.c == "text"


def test_a_byte_at_which_scipy_dies(tmp_path):
    data = saved(False)
    data[241] = 0xFF
    with pytest.raises(DataError, match="not readable as a MAT file"):
        read(tmp_path, data)


@pytest.mark.parametrize("place", [130, 150, 180, -3])
def test_packed_files_are_checked(place, tmp_path):
    data = saved(True)
    data[place] ^= 0x55
    with pytest.raises(DataError, match="not readable as a MAT file"):
        read(tmp_path, data)


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_mat(tmp_path / "a.mat")
    with pytest.raises(DataError, match="not readable"):
        read(tmp_path, b"")
