"""Masks come back from records as they were written; what other programs wrote is read; faults are told."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError
from centernet_tf.properties.masks import Masks, files, runs
from centernet_tf.properties.masks.records import KEYS, PATCHES, PNG, RUNS

SIZE = (40, 30)
MASKS = Masks(side=8)


def disc(x, y, radius):
    columns, rows = np.arange(SIZE[0]), np.arange(SIZE[1])[:, None]
    return np.hypot(columns - x, rows - y) <= radius


DISCS = (disc(12, 10, 6), disc(35, 20, 8))  # the second lies partly outside
BOXES = np.float32([[6, 4, 19, 17], [27, 12, 44, 29]])


def encoded(mask):
    return runs.write_counts(runs.of_pixels(mask, SIZE))


def rows(count=2):
    segmentations = np.array([*map(encoded, DISCS), b""], object)[:count]
    boxes = np.concatenate([BOXES, np.float32([[0, 0, 5, 5]])])[:count]
    filled = MASKS.fill({"segmentations": segmentations}, count)
    return {**filled, **MASKS.place(filled, boxes, SIZE)}, boxes


def stored(packed):
    return {key: np.array(packed.get(key, []), object) for key in KEYS}


def test_no_objects_come_back():
    none = MASKS.fill({}, 0)
    assert MASKS.pack(none, SIZE) == {}
    back = MASKS.unpack(stored({}), np.zeros((0, 4), np.float32), SIZE)
    assert back["masks"].shape == (0, 8, 8) and back["segmentations"].shape == (0,)
    assert MASKS.faults(back, SIZE) == [] and MASKS.place(none, np.zeros((0, 4)), SIZE)["masks"].shape == (0, 8, 8)
    assert MASKS.count(back, SIZE) == {"masks": 0, "empty": 0, "without": 0}
    assert MASKS.tell(MASKS.count(back, SIZE)) == "0 masks."


def test_objects_without_masks_take_no_keys():
    none = MASKS.fill({}, 3)
    assert MASKS.pack(none, SIZE) == {}
    back = MASKS.unpack(stored({}), np.zeros((3, 4), np.float32), SIZE)
    assert back["masks"].shape == (3, 8, 8) and not back["masks"].any() and back["segmentations"].tolist() == [b""] * 3


@pytest.mark.parametrize("count", [2, 3])
def test_masks_come_back(count):
    given, boxes = rows(count)
    packed = MASKS.pack(given, SIZE)
    assert [len(one) for one in packed[PATCHES]] == [8] * count
    back = MASKS.unpack(stored(packed), boxes, SIZE)
    np.testing.assert_array_equal(back["masks"], given["masks"])
    assert back["masks"][0].sum() > 40 and not back["masks"][2:].any()
    assert back["segmentations"].tolist() == given["segmentations"].tolist()
    assert {name: value.dtype for name, value in back.items()} == {
        field.name: np.dtype(field.dtype) for field in MASKS.fields
    }
    assert MASKS.faults(back, SIZE) == [None] * count
    assert MASKS.count(back, SIZE) == {"masks": 2, "empty": 0, "without": count - 2}


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 400),
    seed=st.integers(0, 2**32),
    full=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_files_of_one_bit(width, height, seed, full):
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < full
    top, bottom = np.sort(random.integers(0, height + 1, 2))
    mask[:top] = mask[bottom:] = False
    counts = runs.of_pixels(mask, (width, height))
    data = files.to_png(counts, (width, height))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), mask)
    # As TFOD and Model Garden read them: 0 and 1.
    np.testing.assert_array_equal(tf.io.decode_png(data, channels=1).numpy()[..., 0], mask)
    np.testing.assert_array_equal(tf.io.decode_image(data, channels=1).numpy()[..., 0], mask)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), mask)
    np.testing.assert_array_equal(files.from_png(data, (width, height)), counts)


@pytest.mark.parametrize("value", [(np.uint8, 1), (np.uint8, 255), (np.uint16, 1), (np.uint16, 65535)])
def test_records_of_others_have_files_alone(value):
    given, boxes = rows()
    dtype, level = value
    pngs = [cv2.imencode(".png", mask.astype(dtype) * dtype(level))[1].tobytes() for mask in DISCS]
    back = MASKS.unpack(stored({PNG: pngs}), boxes, SIZE)
    np.testing.assert_array_equal(back["masks"], given["masks"])
    assert back["segmentations"].tolist() == given["segmentations"].tolist()


def test_black_or_missing_files_of_others_are_no_mask():
    black = cv2.imencode(".png", np.zeros(SIZE[::-1], np.uint8))[1].tobytes()
    back = MASKS.unpack(stored({PNG: [black, b""]}), BOXES, SIZE)
    assert back["segmentations"].tolist() == [b"", b""] and not back["masks"].any()


@pytest.mark.parametrize(
    ("key", "values", "text"),
    [
        (PNG, [b"x"], f"{PNG} holds 1 masks for 2 boxes"),
        (RUNS, [b"x"] * 3, f"{RUNS} holds 3 masks for 2 boxes"),
        (PATCHES, [], f"{PATCHES} is missing beside {RUNS}"),
        (PATCHES, [b"12345678", b"1234"], f"{PATCHES} holds 4 bytes; expected 8, 8 x 8 bits"),
    ],
)
def test_lists_that_make_no_masks_are_named(key, values, text):
    packed = stored(MASKS.pack(rows()[0], SIZE))
    with pytest.raises(ValueError, match=text):
        MASKS.unpack({**packed, key: np.array(values, object)}, BOXES, SIZE)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"text", "of object 1: it is no image that can be read"), (None, "5 x 7 pixels, its image 40 x 30")],
)
def test_files_that_make_no_masks_are_named(data, text):
    data = data or cv2.imencode(".png", np.zeros((7, 5), np.uint8))[1].tobytes()
    with pytest.raises(ValueError, match=text):
        MASKS.unpack(stored({PNG: [data, b""]}), BOXES, SIZE)


def test_faults_are_told():
    given = MASKS.fill({"segmentations": [b"351", b"5 1", encoded(DISCS[0]), b""]}, 4)
    wrong, unreadable, *sound = MASKS.faults(given, SIZE)
    assert wrong.reason == "run lengths do not fit the image" and "add up to 9; expected 1200" in wrong.detail
    assert unreadable.reason == "mask not readable" and sound == [None, None]


def test_a_conversion_counts_and_tells():
    empty = runs.write_counts(np.array([1200]))
    counts = MASKS.count(MASKS.fill({"segmentations": [empty, b"", encoded(DISCS[0])]}, 3), SIZE)
    assert counts == {"masks": 2, "empty": 1, "without": 1}
    assert MASKS.tell({**counts, "crossing": 3, "parted": 0}) == (
        "2 masks, 1 without a pixel, 3 of polygons that cross themselves, filled where they wind around an odd number "
        "of times; 1 objects without a mask."
    )


def test_what_keeps_records_apart():
    assert MASKS.difference(Masks(side=8, threshold=0.7)) == ""
    assert MASKS.difference(Masks(side=9)) == "8 x 8 and 9 x 9 parts" and MASKS.mismatch(Masks(side=9)) == ""


def test_a_whole_record_and_its_truth(tmp_path):
    pixels = np.zeros((*SIZE[::-1], 3), np.uint8)
    segmentations = [*map(encoded, DISCS), b"351"]
    boxes = [*BOXES, (0, 0, 5, 5)]
    item = Item("a", 1, pixels, "a.png", boxes, [0, 0, 0], rows={"segmentations": segmentations})
    folder = tmp_path / "train"
    report = write_records(
        [item], directory=folder, name="a", split="train", classes=("disc",), properties=(MASKS,), skip_bad=True
    )
    assert report.boxes_dropped == {"run lengths do not fit the image": 1}
    assert report.properties == {"masks": {"masks": 2, "empty": 0, "without": 0}}
    (record,) = iterate(open_dataset(folder))
    truth = record.truth()
    assert truth["segmentations"].tolist() == segmentations[:2]
    np.testing.assert_allclose(truth["full_boxes"], BOXES, rtol=1e-6)
    np.testing.assert_array_equal(truth["masks"], rows()[0]["masks"])
    assert not truth["masks"][1][:, 7:].any()  # beyond the image
    with pytest.raises(DataError, match="box 3 of 3 has run lengths that do not fit: runs add up to 9"):
        write_records([item], directory=folder, name="a", split="train", classes=("disc",), properties=(MASKS,))
