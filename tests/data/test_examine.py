import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.data.examine import decoding_fault, parse_stored, read_shard
from centernet_tf.data.example import Record, serialize
from centernet_tf.errors import DataError

NAMES = ("cat", "dog")


def record(boxes=((10, 5, 50, 45),), classes=(1,)):
    count = len(classes)
    return Record(
        image=b"bytes",
        format="png",
        width=100,
        height=50,
        image_id=7,
        filename="a.png",
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int64),
        crowd=np.ones(count, bool),
        difficult=np.zeros(count, bool),
        area=np.ones(count, np.float32),
    )


def test_a_record_without_objects():
    stored = parse_stored(serialize(record((), ()), NAMES), NAMES, "here")
    assert (stored.fault, stored.boxes.shape, stored.labels.shape, stored.crowd.shape) == ("", (0, 4), (0,), (0,))


def test_what_was_written_is_read_as_it_lies():
    stored = parse_stored(serialize(record(), NAMES), NAMES, "here")
    assert (stored.name, stored.image_id, stored.image, stored.width, stored.height) == (
        "a.png",
        "7",
        b"bytes",
        100,
        50,
    )
    np.testing.assert_allclose(stored.boxes, [[0.1, 0.1, 0.5, 0.9]], atol=1e-6)
    assert (stored.labels.tolist(), stored.crowd.tolist(), stored.difficult.tolist()) == ([1], [True], [False])


@pytest.mark.parametrize(
    ("serialized", "fault"),
    [
        (b"\xff\xff", "no tf.train.Example"),
        (b"", "no features"),
        (
            tf.train.Example(features=tf.train.Features(feature={"a": tf.train.Feature()})).SerializeToString(),
            "no image",
        ),
    ],
)
def test_what_is_no_record_says_so(serialized, fault):
    stored = parse_stored(serialized, NAMES, "here")
    assert stored.fault.startswith(fault)
    assert stored.name == "here"
    assert stored.boxes.shape == (0, 4)


def test_a_shard_gives_what_comes_before_the_damage(tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(serialize(record(), NAMES))
    assert len(list(read_shard(path, NAMES))) == 3
    path.write_bytes(path.read_bytes()[:-1])
    given = []
    with pytest.raises(DataError, match="cut off or damaged at record 3"):
        for stored in read_shard(path, NAMES):
            given.append(stored.where)
    assert given == [f"{path.name}, record 1", f"{path.name}, record 2"]


@pytest.mark.parametrize("encode", [tf.io.encode_jpeg, tf.io.encode_png])
def test_whole_images_decode_and_cut_ones_do_not(encode):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    image = encode(noise).numpy()
    assert decoding_fault(image) == ""
    assert decoding_fault(image[: len(image) // 2])
    assert decoding_fault(b"")


def test_joints_are_read_as_they_lie():
    joints = np.array([[[50, 25, 2], [110, 10, 1]]], np.float32)
    serialized = serialize(dataclasses.replace(record(), joints=joints), NAMES, ("nose", "tail"))
    np.testing.assert_allclose(parse_stored(serialized, NAMES, "here").joints, [[[0.5, 0.5, 2], [1.1, 0.2, 1]]])
    assert parse_stored(serialize(record(), NAMES), NAMES, "here").joints.shape == (1, 0, 3)
    example = tf.train.Example.FromString(serialized)
    del example.features.feature["image/object/keypoint/x"].float_list.value[1:]
    assert parse_stored(example.SerializeToString(), NAMES, "here").joints is None
