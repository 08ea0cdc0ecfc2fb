"""Frames of videos beside each other: windows over records, and the batches that are made of them."""

import itertools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.clips import windows
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.example import FRAME, VIDEO
from centernet_tf.data.pipeline import FEWEST_ROWS, Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.properties.tracks import Tracks
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.track import Track

STILL = Augmentation(crop=False, shift=0, scale=0, flip=0, brightness=0, contrast=0, saturation=0, lighting=0)
MOVED = Augmentation(crop=False, shift=0.1, scale=0.2, flip=0.5, brightness=0, contrast=0, saturation=0, lighting=0)
SIZE = (96, 96)
LENGTHS = {"a": 7, "b": 1, "c": 6, "": 3}
SIDE = 12  # of every object, pixels


def example(name):
    """A serialized record: "a3" is frame 3 of video a, "7" a single image."""
    texts = {"name": name}
    feature = {}
    if name[0].isalpha():
        texts[VIDEO] = name[0]
        feature[FRAME] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(name[1:])]))
    for key, text in texts.items():
        feature[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def name_of(serialized):
    return tf.train.Example.FromString(serialized).features.feature["name"].bytes_list.value[0].decode()


def names_of(names, frames, reach=0, seed=(1, 2)):
    """Names of the windows over records of these names."""
    given = np.array([example(name) for name in names], object)
    examples = tf.data.Dataset.from_tensor_slices(tf.constant(given, tf.string, [len(names)]))
    made = windows(examples, frames, reach, tf.constant(seed, tf.int64))
    return [" ".join(map(name_of, window)) for window in made.as_numpy_iterator()]


@pytest.mark.parametrize(
    ("names", "frames", "expected"),
    [
        ("", (-1, 0), []),
        ("a1", (-1, 0, 1), ["a1 a1 a1"]),
        ("a1 a2 a3", (-1, 0), ["a1 a1", "a1 a2", "a2 a3"]),
        ("a1 a2 a3", (-1, 0, 1), ["a1 a1 a2", "a1 a2 a3", "a2 a3 a3"]),
        ("a1 a2 a5", (-1, 0), ["a1 a1", "a1 a2", "a5 a5"]),  # a frame that is missing: the nearest there is
        ("a1 a3 a4", (-2, 0), ["a1 a1", "a1 a3", "a1 a4"]),  # of two equally near the first
        ("a1 a2 b2 b3", (-1, 0, 1), ["a1 a1 a2", "a1 a2 a2", "b2 b2 b3", "b2 b3 b3"]),
        ("1 2 3", (-1, 0, 1), ["1 1 1", "2 2 2", "3 3 3"]),
        ("a1 7 a2", (-1, 0), ["a1 a1", "7 7", "a2 a2"]),  # frames of a video follow one another
        ("a1 a2 a3 a4", (-3, 0), ["a1 a1", "a1 a2", "a1 a3", "a1 a4"]),
    ],
)
def test_windows(names, frames, expected):
    assert names_of(names.split(), frames) == expected


def test_windows_within_reach():
    videos = "abcdefghijklmnopqrst"
    names = [f"{video}{frame}" for video in videos for frame in (1, 2, 3, 5, 9)] + ["7", "8"]
    seen = {frame: set() for frame in (1, 2, 3, 5, 9)}
    for window, name in zip(names_of(names, (-1, 0), 2), names, strict=True):
        other, own = window.split()
        assert own == name and other.rstrip("0123456789") == own.rstrip("0123456789")
        if own in ("7", "8"):
            assert other == own
        else:
            seen[int(own[1:])].add(int(other[1:]))
    assert seen == {1: {1, 2, 3}, 2: {1, 2, 3}, 3: {1, 2, 3, 5}, 5: {3, 5}, 9: {9}}


def test_the_seed_decides_the_windows():
    names = [f"a{frame}" for frame in range(30)]
    assert names_of(names, (-1, 0), 3) == names_of(names, (-1, 0), 3) != names_of(names, (-1, 0), 3, (1, 3))


def grey(video, frame):
    return 5 * (1 + 10 * "abc ".index(video or " ") + frame)


def frames_of(video, count):
    """Frames of one grey each, with two objects that move; one of them is red, the other green."""
    for frame in range(1, count + 1):
        corners = np.array([[10 + 6 * frame, 20], [60, 12 + 5 * frame]])
        image = np.full((*SIZE, 3), grey(video, frame), np.uint8)
        for (x, y), color in zip(corners, ((255, 0, 0), (0, 255, 0))):
            image[y : y + SIDE, x : x + SIDE] = color
        yield Item(
            f"{video or 'x'}{frame:03d}",
            1000 * ord(video or "x") + frame,
            image,
            f"{video}{frame}.png",
            np.concatenate([corners, corners + SIDE], axis=1).astype(np.float32),
            [0, 1],
            rows={"track_ids": [3, 8]} if video else {},
            video=video,
            frame=frame if video else 0,
        )


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Two videos, one of a single frame, and three single images, in two shards."""
    folder = tmp_path_factory.mktemp("clips") / "train"
    items = [item for video, count in LENGTHS.items() for item in frames_of(video, count)]
    settings = {"name": "a", "split": "train", "classes": ("red", "green"), "properties": (Tracks(),)}
    write_records(items, directory=folder, shards=2, **settings)
    return open_dataset(folder)


def feed(settings=None, most=100, **options):
    tasks = build_tasks({"track": Track(**(settings or {}))}, Centers(2, most, class_names=("red", "green")))
    given = {"fields": tasks.fields, "properties": tasks.properties, "inputs": tasks.inputs, "frames": tasks.frames}
    return Feed(SIZE, most, clip=tasks.clip, **given, **options)


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def same(first, second):
    tf.nest.assert_same_structure(first, second)
    return all(map(np.array_equal, tf.nest.flatten(first), tf.nest.flatten(second)))


def test_a_batch_is_what_it_says(records):
    ((inputs, rows),) = take(feed().training(records, 4, MOVED), 1)
    drawn = inputs.pop("rows")
    assert {name: (value.dtype, value.shape) for name, value in inputs.items()} == {
        "image": (np.uint8, (4, *SIZE, 3)),
        "previous": (np.uint8, (4, *SIZE, 3)),
        "color": (np.float32, (4, 6)),
    }
    assert {name: (value.dtype, value.shape) for name, value in drawn.items()} == {
        "boxes": (np.float32, (4, FEWEST_ROWS, 4)),
        "shifts": (np.float32, (4, FEWEST_ROWS, 2, 2)),
        "drawn": (bool, (4, FEWEST_ROWS, 2)),
        "valid": (bool, (4, FEWEST_ROWS)),
    }
    assert rows["before"].shape == (4, FEWEST_ROWS, 2) and rows["known"].dtype == bool
    assert not (rows["known"] & ~rows["valid"]).any() and rows["known"].any()


@pytest.fixture(scope="module")
def unbroken(records):
    """Eleven batches from the beginning."""
    return take(feed().training(records, 4, MOVED), 11)


@pytest.mark.parametrize("step", [1, 4, 9, *(pytest.param(step, marks=pytest.mark.long) for step in (0, 3, 5))])
def test_any_step_can_be_begun_with(records, unbroken, step):
    """Four steps are an epoch."""
    assert same(take(feed().training(records, 4, MOVED, step), 11 - step), unbroken[step:])


def test_the_seed_decides_everything_wherever_the_records_lie(records, tmp_path):
    shutil.copytree(records.directory, tmp_path / "elsewhere")
    first = take(feed(workers=1).training(records, 4, MOVED), 6)
    assert same(first, take(feed(workers=4).training(open_dataset(tmp_path / "elsewhere"), 4, MOVED), 6))
    other = take(feed(seed=5).training(records, 4, MOVED), 6)
    assert not any(same(a, b) for a, b in zip(first, other))


def greys(images):
    return [int(image[0, 0, 0]) for image in images]


def test_an_epoch_shows_every_frame_once_beside_one_within_reach(records):
    near = {grey(video, frame): video for video, count in LENGTHS.items() for frame in range(1, count + 1)}
    pairs = []
    plain = feed({"reach": 2, "shift": 0, "scale": 0})
    for inputs, _ in take(plain.training(records, 1, STILL), 3 * records.images):
        pairs += zip(greys(inputs["image"]), greys(inputs["previous"]))
    assert len(near) == records.images == 17
    for epoch in (pairs[:17], pairs[17:34], pairs[34:]):
        assert sorted(own for own, _ in epoch) == sorted(near)
    for own, other in pairs:
        assert near[own] == near[other] and abs(own - other) <= 10 and (near[own] or own == other)
    assert len(set(pairs)) > 2 * 17, "the other frame differs from epoch to epoch"


@pytest.mark.parametrize(
    "settings", [{}, {"same_crop": True}, {"shift": 0.2, "scale": 0.3, "moved": 0, "missing": 0}], ids=str
)
def test_objects_are_where_the_targets_say_in_both_frames(settings, records):
    """Turned back from the boxes to the colours: where an object is, and was, the images have its colour."""
    seen = 0
    settings = {"missing": 0.0, **settings}
    for inputs, rows in take(feed(settings).training(records, 4, MOVED), 8):
        for image, place in np.argwhere(rows["known"]):
            box = rows["boxes"][image, place]
            channel = int(rows["classes"][image, place])
            for shown, point in (("image", (box[:2] + box[2:]) / 2), ("previous", rows["before"][image, place])):
                x, y = np.round(point).astype(int)
                if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                    assert inputs[shown][image, y, x, channel] > 200 > inputs[shown][image, y, x, 1 - channel]
                    seen += 1
        for image, place in np.argwhere(inputs["rows"]["valid"]):
            box = inputs["rows"]["boxes"][image, place]
            x, y = np.round((box[:2] + box[2:]) / 2).astype(int)
            if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                assert inputs["previous"][image, y, x].max() > 200 > inputs["previous"][image, y, x].min()
                seen += 1
    assert seen > 80


def test_objects_of_single_images_are_themselves_in_their_pretended_frame(records):
    inputs, rows = take(feed({"moved": 0.0, "missing": 0.0}).validation(records, 17), 1)[0]
    single = np.isin(greys(inputs["image"]), [grey("", frame) for frame in (1, 2, 3)])
    assert single.sum() == 3 and rows["known"][single].sum() == 6
    assert inputs["rows"]["valid"][single].sum() == 6
    np.testing.assert_array_equal(inputs["image"][single], inputs["previous"][single])


def test_validation_shows_every_frame_once_beside_the_one_before(records):
    inputs, rows = take(feed({"reach": 2}).validation(records, 17), 1)[0]
    pairs = set(zip(greys(inputs["image"]), greys(inputs["previous"])))
    for video, count in LENGTHS.items():
        for frame in range(1, count + 1):
            before = max(frame - 1, 1) if video else frame
            assert (grey(video, frame), grey(video, before)) in pairs
    assert len(pairs) == 17
    drawn = inputs["rows"]
    assert not drawn["shifts"].any() and (drawn["drawn"][..., 0] == drawn["valid"]).all()
    assert not drawn["drawn"][..., 1].any()
    assert rows["known"].sum() == 2 * 17


def test_further_objects_than_max_objects_are_left_out(records):
    inputs, rows = take(feed({}, most=1).validation(records, 17), 1)[0]
    assert rows["before"].shape == (17, 1, 2) and inputs["rows"]["boxes"].shape == (17, 1, 4)
    assert rows["valid"].all()


def test_the_device_does_not_warp_clips(records):
    with pytest.raises(UsageError, match=r"Set data\.device_warp to false"):
        feed(device_warp=True).training(records, 4, STILL)
