"""Lists that wait on disk: the same JSON as of lists in memory."""

import json
import tempfile

import pytest

from centernet_tf.errors import DataError
from centernet_tf.host.spool import HELD, Spool, pieces

ITEMS = [{"a": [1, 2.5]}, "two\nlines, \u2028 and \udcff", None, []]


def text(value):
    return "".join(pieces(value))


@pytest.mark.parametrize("value", [[], {}, ITEMS, {"é": {"b": ITEMS}, "c": 1}])
def test_values_without_spools(value):
    assert text(value) == json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("items", [[], ITEMS, ["x" * HELD, "y", "z" * HELD]])
def test_spools(items):
    spool = Spool()
    for start in range(0, len(items), 2):
        spool.extend(items[start : start + 2])
    for _ in range(2):
        assert text({"told": [spool], "n": 1}) == json.dumps({"told": [items], "n": 1}, ensure_ascii=False)
    spool.close()


def test_a_disk_that_cannot_be_written(monkeypatch):
    spool = Spool()

    def full(lines):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool._file, "writelines", full)
    with pytest.raises(DataError, match=f"(?s){tempfile.gettempdir()}.*[Ss]pace"):
        spool.extend(["a"])
