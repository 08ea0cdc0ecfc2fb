"""How cost grows: what is measured, in which unit it is told, and each kind of work once."""

import keras
import pytest

from centernet_tf.benchmark import growth
from centernet_tf.benchmark.__main__ import TABLES, main
from centernet_tf.data.dataset import open_dataset
from centernet_tf.errors import UsageError

SMALL = {"records": 20, "objects": 3, "pixels": 64, "batch": 2}


@pytest.fixture
def asked(monkeypatch):
    """What `measure` runs in other processes, which answer at once."""
    calls = []

    def answer(module, *arguments):
        calls.append(arguments)
        if arguments[:3] == ("batch", "32", "step"):
            raise MemoryError
        return {"ms": 1500.0, "peak": 2345.6}

    monkeypatch.setattr(growth, "in_fresh_process", answer)
    return calls


def test_everything_is_measured_where_nothing_is_chosen(asked):
    rows = list(growth.measure())
    assert [tuple(call[:3]) for call in asked] == [
        (axis, str(amount), work)
        for axis, (amounts, works) in growth.AXES.items()
        for amount in amounts
        for work in works
    ]
    assert rows[-1] == ("batch", "32", "step", "out of memory", "", "")
    assert {len(row) for row in rows} == {len(TABLES["growth"][1])}
    # The records that are read are those written before.
    assert len({call[5] for call in asked if call[:2] == ("records", "1000")}) == 1


@pytest.mark.parametrize(
    ("words", "row"),
    [
        (["--records", "10000"], ("records", "10,000", "write", "1,500.0", "150.000 / 1,000 records", "2,346")),
        (["--objects", "30"], ("objects", "30", "render", "1,500.0", "50.000 / object", "2,346")),
        (["--pixels", "512"], ("pixels", "512", "answer", "1,500.0", "5722.046 / megapixel", "2,346")),
        (["--batch", "8"], ("batch", "8", "answer", "1,500.0", "187.500 / image", "2,346")),
    ],
)
def test_rows_tell_the_cost_of_a_unit(asked, words, row):
    assert next(iter(growth.measure(words))) == row


def test_words_choose(asked):
    list(growth.measure(["--objects", "--pixels", "64", "--backbone", "resnet18", "--size", "96"]))
    assert {call[:2] for call in asked} == {("pixels", "64"), *(("objects", n) for n in ("7", "30", "100", "300"))}
    assert {call[3:5] for call in asked} == {("resnet18", "96")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objects", "0"], "'0' is not a whole number from 1"),
        (["--pixels", "100"], "100 pixels are no multiple of 32, which mobilenetv2_fpn needs"),
        (["--backbone", "resnet17"], "Unknown backbone 'resnet17'"),
        (["objects"], "unrecognized arguments: objects"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UsageError, match=message):
        main(["growth", *words])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="records need no other backend")
def test_records_are_written_and_read(tmp_path):
    for work in growth.AXES["records"][1]:
        assert growth.one("records", 20, work, "", 0, tmp_path)["ms"] > 0
    assert open_dataset(tmp_path).images == 20


@pytest.mark.parametrize(
    ("axis", "work"), [(axis, work) for axis, (_, works) in growth.AXES.items() if axis != "records" for work in works]
)
@pytest.mark.usefixtures("eagerly")
def test_each_work_is_measured(axis, work, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "ROUNDS", 1)
    found = growth.one(axis, SMALL[axis], work, "tiny", 64, tmp_path)
    assert found["ms"] > 0 and found["peak"] >= 0


@pytest.mark.long
def test_a_row_comes_from_a_process_of_its_own():
    row = next(iter(growth.measure(["--objects", "3", "--size", "64"])))
    assert row[:3] == ("objects", "3", "render") and row[4].endswith(" / object")
    assert float(row[3]) > 0
