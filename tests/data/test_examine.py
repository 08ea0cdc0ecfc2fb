import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.data.examine import decoding_fault, parse_stored, read_shard
from centernet_tf.data.serialize import serialize
from centernet_tf.errors import DataError
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton

NAMES = ("cat", "dog")
FACE = Keypoints(skeleton=Skeleton(keypoints=("nose", "tail")))


@pytest.fixture
def record(make_record):
    return make_record(boxes=[(10, 5, 50, 45)], classes=[1], crowd=np.ones(1, bool), difficult=np.zeros(1, bool))


def test_a_record_without_objects(make_record):
    stored = parse_stored(serialize(make_record((), ()), NAMES), NAMES, "here")
    rows, broken = stored.rows((64, 48), NAMES)
    assert (stored.fault, broken) == ("", {})
    assert (rows["boxes"].shape, rows["classes"].shape, rows["crowd"].shape) == ((0, 4), (0,), (0,))


def test_what_was_written_is_read_as_it_lies(record):
    stored = parse_stored(serialize(record, NAMES), NAMES, "here")
    assert (stored.name, stored.image_id, stored.image, stored.size) == ("bïld.png", "7", record.image, (64, 48))
    rows, _ = stored.rows(stored.size, NAMES)
    np.testing.assert_allclose(rows["boxes"], [[10, 5, 50, 45]], atol=1e-5)
    assert (rows["classes"].tolist(), rows["crowd"].tolist(), rows["difficult"].tolist()) == ([1], [True], [False])
    np.testing.assert_allclose(stored.rows((32, 48), NAMES)[0]["boxes"], [[5, 5, 25, 45]], atol=1e-5)


def test_classes_that_are_not_declared_are_handed_on(record):
    rows, _ = parse_stored(serialize(record, NAMES), NAMES, "here").rows((64, 48), ("cat",))
    assert rows["classes"].tolist() == [1] and rows["names"].tolist() == ["dog"]


@pytest.mark.parametrize(
    ("serialized", "fault"),
    [
        (b"\xff\xff", "it is not a tf.train.Example"),
        (b"", "image/encoded is missing or empty"),
        (
            tf.train.Example(features=tf.train.Features(feature={"a": tf.train.Feature()})).SerializeToString(),
            "image/encoded is missing or empty",
        ),
    ],
)
def test_what_is_no_record_says_so(serialized, fault):
    stored = parse_stored(serialized, NAMES, "here")
    assert stored.fault == fault and stored.name == "here"


def test_lists_that_make_no_objects_are_a_fault(record):
    example = tf.train.Example.FromString(serialize(record, NAMES))
    example.features.feature["image/object/bbox/xmax"].float_list.value.append(1)
    assert "xmax holds 2 numbers" in parse_stored(example.SerializeToString(), NAMES, "here").fault


def test_lists_of_a_property_that_do_not_fit_spare_the_rest(record):
    serialized = serialize(record, NAMES, [FACE])
    example = tf.train.Example.FromString(serialized)
    found, broken = parse_stored(serialized, NAMES, "here").rows((64, 48), NAMES, [FACE, Boxes3d()])
    assert set(broken) == {"boxes3d"} and broken["boxes3d"][0] == "bad_camera"
    np.testing.assert_array_equal(found["keypoint_labels"], [[0, 0]])
    example.features.feature["image/object/keypoint/x"].float_list.value[:] = [0.5]
    found, broken = parse_stored(example.SerializeToString(), NAMES, "here").rows((64, 48), NAMES, [FACE])
    code, text = broken["keypoints"]
    assert code == "bad_keypoints" and "image/object/keypoint/x must hold 2 numbers" in text
    assert "keypoints" not in found and len(found["boxes"]) == 1


def test_a_shard_gives_what_comes_before_the_damage(tmp_path, record):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(serialize(record, NAMES))
    assert len(list(read_shard(path, NAMES))) == 3
    path.write_bytes(path.read_bytes()[:-1])
    given = []
    with pytest.raises(DataError, match="record 3 is cut off or damaged"):
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
