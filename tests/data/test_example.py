"""Records come back as they were written, also what a property adds; what other programs wrote is read."""

from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.checks import check_classes, check_numbers
from centernet_tf.data.example import (
    lists_of,
    read_record,
    rows_of,
    spec,
    stored_size,
)
from centernet_tf.data.serialize import serialize
from centernet_tf.errors import DataError
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Property

CLASSES = ("cat", "dog", "Käfer")
HUES, MOOD = "image/object/hues", "image/mood"


class Hue(Property):
    """Two hues of each object, and the mood of the image."""

    name = "hue"
    keys: ClassVar = {HUES: "float", MOOD: "bytes"}

    @property
    def fields(self):
        return (
            Field("hues", "float32", (2,), "fixed", 0.5, "hues"),
            Field("mood", "int32", (), "fixed", 0, "length of its name", level="image"),
        )

    def unpack(self, lists, boxes, size):
        if len(lists[HUES]) != 2 * len(boxes):
            raise ValueError(f"{HUES} holds {len(lists[HUES])} numbers for {len(boxes)} boxes")
        mood = lists[MOOD][0] if len(lists[MOOD]) else b""
        return {"hues": lists[HUES].reshape(-1, 2), "mood": np.int32(len(mood))}

    def pack(self, rows, size):
        return {HUES: list(rows["hues"].ravel()), MOOD: [b"x" * int(rows["mood"])], "image/hues": rows["hues"].shape}


def features(serialized):
    return tf.train.Example.FromString(serialized).features.feature


def read(serialized, classes=CLASSES, properties=()):
    """Rows of a serialized record, read in Python and in the graph, which must agree."""
    lists = lists_of(serialized)
    rows = rows_of(lists, stored_size(lists) or (64, 48), classes, properties)
    parsed = tf.io.parse_single_example(serialized, spec(properties))
    again = rows_of(
        {key: value.numpy() for key, value in parsed.items()}, stored_size(lists) or (64, 48), classes, properties
    )
    assert set(rows) == set(again)
    for name, value in rows.items():
        np.testing.assert_array_equal(value, again[name])
        assert np.asarray(value).dtype == np.asarray(again[name]).dtype
    return rows


def assert_same(first, second):
    for name in ("image", "format", "width", "height", "image_id", "filename"):
        assert getattr(first, name) == getattr(second, name)
    np.testing.assert_allclose(first.boxes, second.boxes, rtol=1e-6, atol=1e-6)
    for name in ("classes", "crowd", "difficult", "area", "ignored"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype


def test_a_record_without_objects_comes_back(make_record):
    record = make_record(boxes=(), classes=())
    rows = read(serialize(record, CLASSES))
    shapes = {name: value.shape for name, value in rows.items()}
    assert shapes == {
        "boxes": (0, 4),
        "full_boxes": (0, 4),
        **dict.fromkeys(("classes", "crowd", "difficult", "ignored", "area", "names"), (0,)),
    }
    assert_same(read_record(serialize(record, CLASSES), CLASSES), record)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_record_comes_back(data, make_record):
    width, height = data.draw(st.tuples(*[st.integers(1, 5000)] * 2))
    count = data.draw(st.integers(0, 20))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * [width, height]
    record = make_record(
        boxes=corners.reshape(-1, 4).astype(np.float32),
        classes=random.integers(-1, 3, count),
        ignored=np.ones(count, bool),
        image_id=data.draw(st.integers(-(10**15), 10**15)),
        width=width,
        height=height,
        filename=data.draw(st.text(max_size=20)),
    )
    assert serialize(record, CLASSES) == serialize(record, CLASSES)
    assert_same(read_record(serialize(record, CLASSES), CLASSES), record)


def test_rows_have_their_types(make_record):
    rows = read(serialize(make_record(), CLASSES))
    assert {name: value.dtype for name, value in rows.items()} == {
        "boxes": np.float32, "full_boxes": np.float32, "classes": np.int64, "crowd": bool, "difficult": bool,
        "ignored": bool, "area": np.float32, "names": object,
    }  # fmt: skip
    assert rows["names"].tolist() == ["cat", "Käfer"]


def test_standard_keys_are_written(make_record):
    example = features(serialize(make_record(), CLASSES))
    assert list(example["image/object/class/label"].int64_list.value) == [1, 3]
    assert list(example["image/object/class/text"].bytes_list.value) == [b"cat", "Käfer".encode()]
    assert example["image/source_id"].bytes_list.value[0] == b"7"
    assert len(example["image/key/sha256"].bytes_list.value[0]) == 64
    np.testing.assert_allclose(example["image/object/bbox/ymax"].float_list.value, [40.25 / 48, 1], rtol=1e-6)
    np.testing.assert_allclose(example["image/object/bbox/xmin"].float_list.value, [1 / 64, 0], rtol=1e-6)


def test_whole_boxes_take_keys_only_where_one_reaches_over_the_edge(make_record):
    plain = serialize(make_record(), CLASSES)
    assert not [key for key in features(plain) if "full" in key]
    np.testing.assert_array_equal(read(plain)["full_boxes"], read(plain)["boxes"])
    full = np.float32([(1, 2, 30.5, 40.25), (-8, 0, 96, 50)])
    serialized = serialize(make_record(full_boxes=full), CLASSES)
    np.testing.assert_allclose(features(serialized)["image/object/full/bbox/xmax"].float_list.value, [30.5 / 64, 1.5])
    np.testing.assert_allclose(features(serialized)["image/object/bbox/xmax"].float_list.value, [30.5 / 64, 1])
    found = read_record(serialized, CLASSES)
    np.testing.assert_allclose(found.full_boxes, full, rtol=1e-6)
    np.testing.assert_allclose(found.boxes, make_record().boxes, rtol=1e-6)
    np.testing.assert_allclose(found.truth()["full_boxes"], full, rtol=1e-6)


def test_ignored_objects_take_a_key_only_where_there_are_some(make_record):
    assert "image/object/ignored" not in features(serialize(make_record(), CLASSES))
    record = make_record(classes=(1, -1), ignored=np.array([False, True]), names=("pup", "crowd"))
    assert list(features(serialize(record, CLASSES))["image/object/ignored"].int64_list.value) == [0, 1]
    found = read_record(serialize(record, CLASSES), CLASSES)
    assert found.ignored.tolist() == [False, True] and found.classes.tolist() == [1, -1]
    assert found.names == ("pup", "crowd")


def test_what_a_property_packs_comes_back(make_record):
    rows = {"hues": np.float32([[0.25, 1], [2, 3]]), "mood": np.int32(3)}
    serialized = serialize(make_record(rows=rows), CLASSES, [Hue()])
    assert list(features(serialized)["image/hues"].int64_list.value) == [2, 2]
    read_back = read(serialized, properties=[Hue()])
    np.testing.assert_array_equal(read_back["hues"], rows["hues"])
    record = read_record(serialized, CLASSES, [Hue()])
    assert set(record.rows) == {"hues", "mood"} and record.rows["mood"] == 3
    truth = record.truth()
    assert truth["names"].tolist() == ["cat", "Käfer"] and {"boxes", "area", "ignored", "hues"} <= set(truth)
    assert set(read_record(serialized, CLASSES).rows) == set()


def test_missing_rows_of_a_property_are_filled(make_record):
    record = read_record(serialize(make_record(), CLASSES, [Hue()]), CLASSES, [Hue()])
    np.testing.assert_array_equal(record.rows["hues"], np.full((2, 2), 0.5))


def test_records_without_properties_have_no_keys_of_them(make_record):
    with_rows = make_record(rows={"hues": np.zeros((2, 2)), "mood": np.int32(1)})
    assert serialize(with_rows, CLASSES) == serialize(make_record(), CLASSES)


def foreign(record, drop=(), **changes):
    """Example as the other writers make it, without what they may leave out."""
    example = tf.train.Example.FromString(serialize(record, CLASSES))
    for key in drop:
        del example.features.feature[key]
    for key, value in changes.items():
        example.features.feature["image/" + key].bytes_list.value[:] = [value]
    return example.SerializeToString()


OPTIONAL = ("image/object/area", "image/object/is_crowd", "image/object/difficult", "image/format", "image/filename")


def test_optional_keys_may_be_missing(make_record):
    serialized = foreign(make_record(), (*OPTIONAL, "image/height", "image/width", "image/key/sha256"))
    assert stored_size(lists_of(serialized)) is None
    record = read_record(serialized, CLASSES)
    assert record.size == (64, 48) and record.filename == ""
    np.testing.assert_allclose(record.boxes, make_record().boxes, rtol=1e-6)
    np.testing.assert_allclose(record.area, [29.5 * 38.25, 64 * 48], rtol=1e-5)
    assert not record.crowd.any() and not record.difficult.any()
    assert not read(serialized)["crowd"].any()


def test_all_box_keys_may_be_missing(make_record):
    rows = read(foreign(make_record(), [f"image/object/{key}" for key in (
        "bbox/xmin", "bbox/xmax", "bbox/ymin", "bbox/ymax", "class/label", "class/text", "area", "is_crowd", "difficult"
    )]))  # fmt: skip
    assert rows["boxes"].shape == (0, 4) and rows["classes"].shape == (0,)


@pytest.mark.parametrize("side", [2**31, 2**63 - 1])
def test_a_size_that_no_image_has_is_refused(side, make_record):
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES))
    example.features.feature["image/height"].int64_list.value[0] = side
    with pytest.raises(ValueError, match="no image is that large"):
        read_record(example.SerializeToString(), CLASSES)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e12])
@pytest.mark.parametrize("key", ["bbox/ymin", "area"])
def test_numbers_that_none_has_are_refused(key, value, make_record):
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES))
    example.features.feature[f"image/object/{key}"].float_list.value[1] = value
    serialized = example.SerializeToString()
    with pytest.raises(ValueError, match=r" 2 of 2 has a number that is not finite or impossibly large"):
        read_record(serialized, CLASSES)
    with pytest.raises(ValueError, match="impossibly large"):
        check_numbers(read(serialized))


def test_class_by_text_alone_needs_the_names(make_record):
    by_text = foreign(make_record(), ["image/object/class/label"])
    np.testing.assert_array_equal(read(by_text)["classes"], [0, 2])
    rows = read(by_text, ("cat", "dog"))
    np.testing.assert_array_equal(rows["classes"], [0, -1])
    with pytest.raises(ValueError, match="object 2 has class 'Käfer', but 2 classes are declared"):
        check_classes(rows, ("cat", "dog"))
    with pytest.raises(ValueError, match="Käfer"):
        read_record(by_text, ("cat", "dog"))
    neither = foreign(make_record(), ["image/object/class/label", "image/object/class/text"])
    with pytest.raises(ValueError, match="must hold one for each"):
        read(neither)
    nameless = foreign(make_record(), ["image/object/class/text"])
    assert read(nameless)["names"].tolist() == ["cat", "Käfer"]


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("image/object/area", [5.0], "image/object/area holds 1 numbers for 2 boxes"),
        ("image/object/is_crowd", [1, 0, 1], "image/object/is_crowd holds 3 numbers for 2 boxes"),
        ("image/object/bbox/ymin", [], "image/object/bbox/ymin holds 0 numbers, but image/object/bbox/xmin 2"),
        ("image/object/full/bbox/xmin", [0.5], "image/object/full/bbox/ymin holds 0 numbers, but image/object/full"),
        ("image/object/class/label", [1], "image/object/class/label holds 1 labels for 2 boxes"),
        ("image/object/class/text", [b"cat"], "image/object/class/text holds 1 names for 2 boxes"),
        (HUES, [0.5], f"{HUES} holds 1 numbers for 2 boxes"),
        ("image/object/area", [5, 6], "image/object/area holds whole numbers; expected floating-point numbers"),
        (HUES, [b"red"], f"{HUES} holds texts; expected floating-point numbers"),
    ],
)
def test_lists_that_do_not_fit_are_named(key, values, message, make_record):
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES, [Hue()]))
    feature = example.features.feature[key]
    feature.Clear()
    kind = {bytes: "bytes_list", float: "float_list"}.get(type(values[0]) if values else float, "int64_list")
    getattr(feature, kind).value.extend(values)
    with pytest.raises(ValueError) as error:
        read_record(example.SerializeToString(), CLASSES, [Hue()])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("serialized", [b"", b"\xff\xff", tf.train.Example().SerializeToString()])
def test_what_is_no_annotated_image_says_so(serialized):
    with pytest.raises(ValueError, match=r"is not a tf\.train\.Example|image/encoded is missing"):
        read_record(serialized, CLASSES)


def test_a_name_of_another_class_contradicts_the_label(make_record):
    serialized = serialize(make_record(), CLASSES)
    with pytest.raises(ValueError, match="object 1 is called 'cat', but its label 1 is 'dog' of the 3 classes"):
        read_record(serialized, ("dog", "cat", "Käfer"))
    assert read_record(serialized, ("tom", "dog", "beetle")).classes.tolist() == [0, 2], "other names mean the same"
    finer = serialize(make_record(names=("kitten", "Käfer")), CLASSES)
    assert read_record(finer, CLASSES).names == ("kitten", "Käfer")
    ignored = serialize(make_record(names=("dog", "Käfer"), ignored=np.array([True, False])), CLASSES)
    assert read_record(ignored, CLASSES).classes.tolist() == [0, 2]


def test_source_id_that_is_no_number_becomes_one(make_record):
    def image_id(text):
        return read_record(foreign(make_record(), source_id=text), CLASSES).image_id

    assert image_id(b"2007_000027.jpg") == image_id(b"2007_000027.jpg") != image_id(b"2007_000028.jpg")
    assert 0 <= image_id(b"2007_000027.jpg") < 2**53
    assert image_id(b"000000000139") == 139 and image_id(b"-3") == -3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": np.array([0, 3])}, "object 2 has label 4, but 3 classes are declared, labels 1 to 3"),
        ({"classes": np.array([-1, 0])}, "object 1 has label 0"),
        ({"classes": np.array([0])}, r"boxes are \(2, 4\)"),
        ({"boxes": np.full((2, 4), np.nan, np.float32)}, "expected finite numbers"),
        ({"full_boxes": np.zeros((1, 4), np.float32)}, r"full_boxes are \(1, 4\); expected finite numbers of \[2, 4\]"),
        ({"area": np.zeros(1, np.float32)}, "1 values of area for 2 objects"),
        ({"ignored": np.zeros(3, bool)}, "3 values of ignored"),
        ({"names": ("cat",)}, "1 values of names"),
        ({"format": "gif"}, "image format 'gif'"),
        ({"rows": {"hues": np.zeros((2, 3))}}, r"hues has shape \(2, 3\), expected \(2, 2\)"),
    ],
)
def test_wrong_records_are_not_written(changes, message, make_record):
    with pytest.raises(DataError, match=message):
        serialize(make_record(**changes), CLASSES, [Hue()])
