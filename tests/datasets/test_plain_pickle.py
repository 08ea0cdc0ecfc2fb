"""Pickles give lists, numbers and arrays, whoever wrote them, and nothing that is in them runs."""

import collections
import os
import pickle

import numpy as np
import pytest

from centernet_tf.datasets.plain_pickle import read
from centernet_tf.errors import DataError, UsageError

# As Python 2 with an old NumPy wrote {'a': array([[1, 2], [3, 4]], float32), u'b': [int64(7)]}, protocol 2.
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x01aq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01bq"
    b"\x05\x87q\x06Rq\x07(K\x01K\x02K\x02\x86q\x08cnumpy\ndtype\nq\tU\x02f4q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<NNN"
    b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@tbX\x01\x00"
    b"\x00\x00b]q\rcnumpy.core.multiarray\nscalar\nq\x0ecnumpy\ndtype\nU\x02i8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff"
    b"\xff\xffJ\xff\xff\xff\xffK\x00tbU\x08\x07\x00\x00\x00\x00\x00\x00\x00\x86Rau."
)


def written(folder, content):
    path = folder / "content.pkl"
    path.write_bytes(content)
    return path


def dumped(folder, value, protocol=2):
    return written(folder, pickle.dumps(value, protocol=protocol))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        {"a": [1, 2.5, True, None, "text", b"bytes", (1, (2,))]},
        {1: {2: {3, 4}}},
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, a=[1]),
    ],
)
def test_plain_values_come_back(value, protocol, tmp_path):
    assert read(dumped(tmp_path, value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5), np.float32),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([1, 2], ">i2"),
        np.array([True, False]),
        np.array(["ab", "c"]),
        np.array(3.5),
    ],
)
def test_arrays_come_back(array, protocol, tmp_path):
    found = read(dumped(tmp_path, {"x": [array, array]}, protocol))["x"]
    for one in found:
        assert one.dtype == array.dtype and one.shape == array.shape
        np.testing.assert_array_equal(one, array)
    found[0].flat[:1] = found[0].flat[:1]  # it can be written to


def test_numbers_of_numpy_and_arrays_of_objects(tmp_path):
    objects = np.empty(2, object)
    objects[:] = [np.ones(2), None]
    found = read(dumped(tmp_path, {np.int64(3): np.float32(0.5), "o": objects}))
    assert found[3] == 0.5 and isinstance(found["o"], list) and found["o"][0].tolist() == [1, 1]


def test_what_python_2_wrote(tmp_path):
    found = read(written(tmp_path, PYTHON_2))
    assert found["a"].tolist() == [[1, 2], [3, 4]] and found["a"].dtype == np.float32 and found["b"] == [7]


class Attack:
    """What runs when it is read."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        function, *arguments = self.call
        return function, tuple(arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("__import__('os').mkdir({!r})",), r"builtin\w*\.eval"),
        (getattr, ("x", "upper"), r"builtin\w*\.getattr"),
        (os.mkdir, ("{}",), "mkdir"),
        (np.load, ("{}",), "load"),
        (collections.Counter, (), r"collections\.Counter"),
    ],
)
def test_nothing_runs(function, arguments, name, tmp_path):
    target = tmp_path / "made"
    attack = Attack(function, *(one.format(str(target)) for one in arguments))
    with pytest.raises(DataError, match=rf"asks for \S*{name}\S* which would have to run .* nothing of it was run"):
        read(dumped(tmp_path, {"labels": [attack]}))
    assert not target.exists()


def test_what_is_known_takes_no_other_arguments(tmp_path):
    attacks = [
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00bz2\x86R.",
        b"\x80\x02cnumpy\ndtype\nX\x06\x00\x00\x00f4,f4 \x85R.",
        b"\x80\x02cnumpy\nndarray\n)R.",
        b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R.",
    ]
    for content in attacks:
        with pytest.raises(DataError, match="not readable as a pickle"):
            read(written(tmp_path, content))


def test_arrays_of_another_size_than_their_content_are_told(tmp_path):
    content = pickle.dumps(np.arange(4.0), protocol=2).replace(b"K\x04\x85", b"K\x09\x85")
    with pytest.raises(DataError, match="not readable as a pickle"):
        read(written(tmp_path, content))


def test_deep_and_repeated_values_take_no_long(tmp_path):
    value = []
    for _ in range(60):
        value = [value, value]
    found = read(dumped(tmp_path, value))
    assert found[0] is found[1]
    nested = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    with pytest.raises(DataError, match="RecursionError"):
        read(written(tmp_path, nested))
    circle = []
    circle.append(circle)
    assert (found := read(dumped(tmp_path, circle)))[0] is found


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02", b"\x80\x09.", PYTHON_2[:90], b"\x80\x02}q\x00(K"])
def test_what_is_no_pickle_is_told(content, tmp_path):
    with pytest.raises(DataError, match="not readable as a pickle"):
        read(written(tmp_path, content))
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "gone.pkl")
