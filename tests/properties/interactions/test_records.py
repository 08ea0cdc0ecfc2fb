"""Interactions come back from records as they were written; pairs that name nothing are told and left out alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item, usable_objects
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError
from centernet_tf.properties import as_plain, read_properties
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.interactions.records import KEYS, OBJECT, OBSERVED, SUBJECT, VERB

RIDES = Interactions(verbs=("ride", "hold", "walk"), allowed={"ride": ("horse",), "walk": ()})
CLASSES = ("person", "horse", "cup")
SIZE = (64, 48)
BOXES = np.float64([[4, 4, 20, 40], [10, 20, 50, 44], [30, 2, 36, 8]])


def item(pairs=(), verbs=(), boxes=BOXES, number=1, **fields):
    rows = {"pairs": np.array(pairs, np.int64).reshape(-1, 2), "verbs": np.array(verbs, np.int64)}
    classes = [0, 1, 2][: len(boxes)]
    image = np.zeros((*SIZE[::-1], 3), np.uint8) + number
    return Item(f"{number:03}", number, image, f"{number}.png", boxes, classes, rows=rows, **fields)


def write(folder, *items, **options):
    given = {"name": "rides", "split": "train", "classes": CLASSES, "properties": (RIDES,)}
    return write_records(items, directory=folder, **given, **options)


def lists(pairs=(), verbs=(), observed=()):
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    values = (columns[:, 0], columns[:, 1], np.array(verbs, np.int64), np.array(observed, np.int64))
    return dict(zip(KEYS, values))


def test_an_image_without_pairs(tmp_path):
    report = write(tmp_path, item(), Item("2", 2, np.zeros((9, 9, 3), np.uint8), "2.png", np.zeros((0, 4)), []))
    assert report.pairs_in == 0 and "pairs" not in report.to_dict()
    for record, count in zip(iterate(open_dataset(tmp_path)), (3, 0)):
        assert record.rows["pairs"].shape == (0, 2) and record.rows["verbs"].shape == (0,)
        assert record.rows["observed"].tolist() == [True] * count


def test_records_hold_pairs(tmp_path):
    items = item([[0, 1], [0, -1], [0, 2]], [0, 2, 1]), item([[2, 1]], [1], number=2)
    items[1].rows["observed"] = [True, False, True]
    report = write(tmp_path, *items)
    assert report.to_dict()["pairs"] == {"in": 4, "written": 4, "dropped": {}, "unusable": []}
    assert dict(report.properties["interactions"]) == {"ride": 1, "hold": 2, "walk": 1}
    dataset = open_dataset(tmp_path)
    assert dataset.properties == (RIDES,)
    for record, one in zip(iterate(dataset), items):
        for name in ("pairs", "verbs"):
            np.testing.assert_array_equal(record.rows[name], one.rows[name])
            assert record.rows[name].dtype == np.int32
        assert record.rows["observed"].tolist() == [bool(x) for x in one.rows.get("observed", [True] * 3)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(0, 2)), max_size=6), st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_packed_is_unpacked(triples, data):
    triples = [one for one in triples if one[0] != one[1]]
    observed = np.array(data.draw(st.lists(st.booleans(), min_size=3, max_size=3)))
    rows = RIDES.fill({"pairs": [one[:2] for one in triples], "verbs": [one[2] for one in triples]}, 3)
    rows["observed"] = observed
    packed = {key: np.asarray(values, np.int64) for key, values in RIDES.pack(rows, SIZE).items()}
    back = RIDES.unpack({**dict.fromkeys(KEYS, np.zeros(0, np.int64)), **packed}, BOXES, SIZE)
    for name in ("pairs", "verbs", "observed"):
        np.testing.assert_array_equal(back[name], rows[name])
        assert back[name].dtype == rows[name].dtype


@pytest.mark.parametrize(
    ("pair", "verb", "words"),
    [
        ((0, 3), 0, "names object 3 as its object, but the image has 3 objects, numbered from 0"),
        ((3, 0), 0, "names object 3 as its subject"),
        ((-1, 0), 0, "names object -1 as its subject"),
        ((0, -2), 0, "names object -2 as its object, but the image has 3 objects.*-1 stands for no object"),
        ((0, 1), 3, "has verb 3, but there are 3, from 0: ride, hold, walk"),
        ((0, 1), -1, "has verb -1"),
        ((1, 1), 0, "has object 1 as subject and as object of 'ride'"),
    ],
)
def test_bad_pairs_are_told_and_left_out_alone(pair, verb, words, tmp_path):
    bad = item([[0, 2], pair], [1, verb])
    with pytest.raises(DataError, match=f"pair 2 of 2 {words}.*--skip-bad"):
        write(tmp_path, bad)
    report = write(tmp_path, bad, skip_bad=True)
    assert (report.boxes_written, report.pairs_in, report.pairs_written) == (3, 2, 1)
    assert sum(report.pairs_dropped.values()) == 1 and len(report.to_dict()["pairs"]["unusable"]) == 1
    (record,) = iterate(open_dataset(tmp_path))
    assert record.rows["pairs"].tolist() == [[0, 2]]


def test_a_pair_goes_with_a_box_of_no_area():
    boxes = BOXES.copy()
    boxes[1, 2] = boxes[1, 0]
    objects = usable_objects(item([[0, 1], [2, 0], [0, -1]], [0, 1, 2], boxes), *SIZE, CLASSES, (RIDES,))
    assert [one.reason for one in objects.faults] == ["zero area"]
    assert [one.detail for one in objects.pair_faults] == ["pair 1 of 3 has object 1, which cannot be used"]
    assert objects.rows["pairs"].tolist() == [[1, 0], [0, -1]] and objects.rows["verbs"].tolist() == [1, 2]
    assert objects.pairs == 2 and objects.rows["observed"].tolist() == [True, True]


def test_pairs_of_skipped_images_and_of_readers_are_counted(tmp_path):
    broken = Item("000", 7, b"no image", "7.png", BOXES, [0, 1, 2], rows=item([[0, 1]], [0]).rows)
    told = item([[0, 1]], [0], pairs_left_out={"pair that is not seen": 2})
    report = write(tmp_path, broken, told, skip_bad=True)
    assert report.pairs_in == 4 and report.pairs_written == 1
    assert dict(report.pairs_dropped) == {"image skipped": 1, "pair that is not seen": 2}


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (lists([[0, 1]], []), "each pair needs all three"),
        (lists([[0, 3]], [0]), "pair 1 of 1 names object 3"),
        (lists([[0, 1]], [5]), "has verb 5"),
        (lists(observed=[1]), f"{OBSERVED} holds 1 numbers for 3 boxes"),
    ],
)
def test_lists_that_make_no_rows(stored, words):
    with pytest.raises(ValueError, match=words):
        RIDES.unpack(stored, BOXES, SIZE)


def test_keys():
    assert set(RIDES.pack(RIDES.fill({}, 2), SIZE)) == {SUBJECT, OBJECT, VERB}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"pairs": [[0, 1, 2]], "verbs": [0]}, "pairs have shape"),
        ({"pairs": [[0, 1]], "verbs": []}, "verbs"),
        ({"observed": [True]}, "observed has shape"),
    ],
)
def test_rows_of_wrong_shapes(rows, words):
    with pytest.raises(ValueError, match=words):
        RIDES.fill(rows, 2)


def test_settings_come_back():
    told = Interactions(verbs=("a", "b"), actions=("x", "x"), trained={"a": {"cup": 3}}, threshold=0.5)
    for one in (RIDES, told, Interactions(verbs=("a",))):
        assert read_properties(as_plain([one]), "here") == (one,)
    assert as_plain([Interactions(verbs=("a",))]) == {"interactions": {"verbs": ["a"]}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"verbs": ["a", "a"]}, "none twice"),
        ({"verbs": ["a"], "allowed": {"b": []}}, "'b', which is no verb"),
        ({"verbs": ["a"], "trained": {"a": {"cup": -1}}}, "greater than or equal to 0"),
        ({"verbs": ["a"], "actions": ["x", "y"]}, "2 actions for 1 verbs"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(DataError, match=words):
        read_properties({"interactions": settings}, "dataset.yaml")


def test_the_table_of_allowed_pairs():
    assert RIDES.table(CLASSES).tolist() == [[False, True, False], [True, True, True], [False, False, False]]
    assert RIDES.table(()).shape == (3, 0)


def test_what_differs():
    assert not RIDES.difference(Interactions(verbs=RIDES.verbs))
    assert RIDES.difference(Interactions(verbs=("ride", "hold"))) == "verbs ride, hold, walk and ride, hold"
    assert not RIDES.mismatch(Interactions(verbs=("walk", "ride")))
    assert RIDES.mismatch(Interactions(verbs=("fly", "ride"))) == "verbs of the model that the records lack: fly"


def test_the_report_tells_of_verbs():
    assert RIDES.tell({}) == "Interactions: none."
    assert RIDES.tell({"hold": 2, "ride": 5}) == "Interactions: 7 pairs: ride 5, hold 2. Without any: walk."
