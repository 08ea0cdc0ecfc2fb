import dataclasses
import itertools

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from centernet_tf import preprocess
from centernet_tf.data.augment import PLAIN_COLOR, Augmentation
from centernet_tf.data.damage import reading
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.pipeline import FEWEST_ROWS, PADDING, Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry import affine
from centernet_tf.points.centers import Centers
from centernet_tf.properties.fields import FIELDS, JITTERED, ROTATED, SHARED, ZOOM, Field
from centernet_tf.properties.property import Property

STILL = Augmentation(crop=False, shift=0, scale=0, flip=0, brightness=0, contrast=0, saturation=0, lighting=0)
GEOMETRY = Augmentation(brightness=0, contrast=0, saturation=0, lighting=0)
FEED = Feed((64, 64))


def write(directory, images, boxes, classes=None):
    """Records of arrays [H, W, 3], each with boxes [N, 4]; classes count up where they are not given."""
    items = []
    for number, (image, own) in enumerate(zip(images, boxes)):
        own = np.reshape(own, (-1, 4)).astype(np.float32)
        labels = np.arange(len(own)) % 3 if classes is None else classes[number]
        items.append(Item(f"{number:04d}", number, image, f"{number}.png", own, labels))
    names = ("a", "b", "c")
    shards = min(3, len(items))
    write_records(items, directory=directory, name="made", split="train", classes=names, shards=shards)
    return open_dataset(directory)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """22 images without objects, each of one grey that is its number times 10."""
    images = [np.full((64, 64, 3), 10 * number, np.uint8) for number in range(22)]
    return write(tmp_path_factory.mktemp("numbered"), images, [[]] * 22)


def numbers(batches):
    """Which images of `numbered` came, [[number per image] per batch]."""
    return [[int(image[0, 0, 0]) // 10 for image in inputs["image"]] for inputs, _ in batches]


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def same(first, second):
    tf.nest.assert_same_structure(first, second)
    return all(map(np.array_equal, tf.nest.flatten(first), tf.nest.flatten(second)))


def test_a_batch_is_what_it_says(shapes_train):
    ((inputs, rows),) = take(FEED.training(shapes_train, 4, Augmentation()), 1)
    assert {name: (value.dtype, value.shape) for name, value in {**inputs, **rows}.items()} == {
        "image": (np.uint8, (4, 64, 64, 3)),
        "color": (np.float32, (4, 6)),
        "boxes": (np.float32, (4, FEWEST_ROWS, 4)),
        "classes": (np.int32, (4, FEWEST_ROWS)),
        "crowd": (bool, (4, FEWEST_ROWS)),
        "ignored": (bool, (4, FEWEST_ROWS)),
        "valid": (bool, (4, FEWEST_ROWS)),
    }
    assert (rows["classes"][~rows["valid"]] == -1).all()
    assert (rows["boxes"][~rows["valid"]] == 0).all()
    assert (rows["classes"][rows["valid"]] >= 0).all()
    assert rows["valid"].any(axis=1).all()
    assert not (~rows["valid"][:, :-1] & rows["valid"][:, 1:]).any(), "objects come before padding"


def test_the_seed_decides_everything(shapes_train):
    first, second = (take(Feed((64, 64), workers=w).training(shapes_train, 4, Augmentation()), 8) for w in (1, 4))
    assert same(first, second)
    other = take(Feed((64, 64), seed=318).training(shapes_train, 4, Augmentation()), 8)
    assert not any(same(a, b) for a, b in zip(first, other))


@pytest.mark.parametrize("shuffle", [3, 2048])
def test_an_epoch_holds_every_image_once(numbered, shuffle):
    feed = Feed((64, 64), shuffle=shuffle)
    batches = numbers(take(feed.training(numbered, 5, STILL), 12))
    epochs = [list(itertools.chain(*batches[start : start + 4])) for start in (0, 4, 8)]
    for epoch in epochs:
        assert len(set(epoch)) == 20 == len(epoch)  # two of the 22 do not fill a batch
    assert len({tuple(epoch) for epoch in epochs}) == 3, "each epoch has its own order"
    left_out = [set(range(22)) - set(epoch) for epoch in epochs]
    assert left_out[0] != left_out[1] or left_out[1] != left_out[2]


@pytest.fixture(scope="module")
def unbroken(numbered):
    """Thirteen batches from the beginning."""
    return take(FEED.training(numbered, 5, Augmentation()), 13)


@pytest.mark.parametrize("step", [1, 4, 9, *(pytest.param(step, marks=pytest.mark.long) for step in (0, 3, 5))])
def test_any_step_can_be_begun_with(numbered, unbroken, step):
    """Four steps are an epoch, so these lie within the first, on its end, and in later ones."""
    resumed = take(FEED.training(numbered, 5, Augmentation(), step), 13 - step)
    assert numbers(resumed) == numbers(unbroken[step:])
    assert same(resumed, unbroken[step:])


def test_each_image_has_its_own_chance(numbered):
    inputs, _ = take(FEED.training(numbered, 5, Augmentation()), 5)[0]
    assert len(np.unique(inputs["color"], axis=0)) == 5
    first, fifth = (take(FEED.training(numbered, 22, Augmentation(), step), 1)[0][0]["color"] for step in (0, 1))
    assert not np.isin(first[:, 0], fifth[:, 0]).any(), "the same image is changed in another way in each epoch"


def rectangle(height, width, box):
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    return image


BOXES = [(20, 30, 50, 44), (5, 8, 90, 60), (60, 10, 96, 40), (30, 30, 60, 64)]


MOVED = Augmentation(crop=False, shift=0.2, flip=1.0)
# Each way to augment, each size and each place of the warp once; the rest repeats them.
ONCE = {(STILL, (64, 64), False), (GEOMETRY, (32, 128), True), (GEOMETRY, (96, 64), False), (MOVED, (96, 64), True)}
WAYS = [
    (way, size, on)
    for way in (STILL, GEOMETRY, MOVED)
    for size in ((64, 64), (96, 64), (32, 128))
    for on in (False, True)
]


@pytest.mark.parametrize(
    ("augment", "size", "device_warp"),
    [pytest.param(*case, marks=() if case in ONCE else pytest.mark.long) for case in WAYS],
    ids=str,
)
def test_objects_move_with_the_image(tmp_path, augment, size, device_warp):
    dataset = write(tmp_path, [rectangle(64, 96, box) for box in BOXES], [[box] for box in BOXES])
    limit = np.array([size[1], size[0]] * 2)
    seen = 0
    for inputs, rows in take(Feed(size, device_warp=device_warp).training(dataset, 4, augment), 4):
        images = inputs["image"]
        if device_warp:
            images = ops.convert_to_numpy(preprocess.warp(images, inputs["fit"], size))
        for image, box, valid in zip(images, rows["boxes"], rows["valid"]):
            assert image.shape == (*size, 3)
            assert valid.sum() == 1
            wanted = np.clip(box[0], 0, limit)
            if (wanted[2:] - wanted[:2] < 4).any():
                continue  # all but outside the crop
            y, x = np.nonzero(image[..., 0] > 127)
            found = [x.min(), y.min(), x.max() + 1, y.max() + 1]
            # The box ends where the last pixel ends; warped and mirrored pixels are known by their centres.
            np.testing.assert_allclose(found, wanted, atol=2.6)
            seen += 1
    assert seen >= 8


def slow_centers(boxes, matrix, grid):
    """The original's boxes and centres on the output grid (`datasets/sample/ctdet.py`), None where it skips one."""
    found = []
    for left, top, right, bottom in boxes:
        corners = affine.move_points(np.array([[left, top], [right, bottom]]), matrix) / 4
        x, y = (np.clip(np.sort(corners[:, axis]), 0, grid[1 - axis] - 1) for axis in (0, 1))
        empty = x[1] - x[0] <= 0 or y[1] - y[0] <= 0
        found.append(None if empty else (x.mean(), y.mean(), x[1] - x[0], y[1] - y[0]))
    return found


OVER = [(-60, -10, 40, 30), (40, 20, 180, 40), (50, 50, 60, 90), (0, 0, 96, 64)]


@pytest.mark.parametrize("augment", [STILL, GEOMETRY], ids=["still", "moved"])
def test_boxes_are_cut_at_the_output_grid_and_not_at_the_image(tmp_path, augment):
    dataset = write(tmp_path, [np.zeros((64, 96, 3), np.uint8)], [OVER])
    size, beyond = (64, 64), 0
    for epoch, (_, rows) in enumerate(take(Feed(size).training(dataset, 1, augment), 4)):
        matrix = augment.matrix(np.random.default_rng([317, epoch, 0]), 64, 96, size)
        expected = slow_centers(OVER, matrix, (16, 16))
        clipped = slow_centers(np.clip(OVER, 0, [96, 64, 96, 64]), matrix, (16, 16))
        located = Centers(3).locate(rows, (16, 16))
        for index, wanted in enumerate(expected):
            assert bool(located["keep"][0, index]) == (wanted is not None)
            if wanted is not None:
                got = [*located["center"][0, index], *located["size"][0, index]]
                np.testing.assert_allclose(got, wanted, atol=1e-4)
                beyond += clipped[index] is None or not np.allclose(wanted, clipped[index])
    assert beyond >= 4


def test_the_scale_is_never_stretched(tmp_path):
    dataset = write(tmp_path, [rectangle(64, 96, BOXES[0])], [[BOXES[0]]])
    for _, rows in take(Feed((64, 128)).training(dataset, 1, GEOMETRY), 6):
        left, top, right, bottom = rows["boxes"][0, 0]
        assert (right - left) / (bottom - top) == pytest.approx(30 / 14, rel=1e-4)


@pytest.mark.parametrize(
    ("objects", "max_objects", "kept", "padded"), [(20, 7, 7, 7), (20, 100, 20, 32), (20, 20, 20, 20)]
)
@pytest.mark.parametrize("device_warp", [False, True])
def test_rows_fit_the_fullest_image(tmp_path, objects, max_objects, kept, padded, device_warp):
    boxes = [[number, 0, number + 8, 8] for number in range(objects)]
    dataset = write(tmp_path, [np.zeros((64, 64, 3), np.uint8)] * 2, [boxes, boxes[:1]])
    feed = Feed((64, 64), max_objects=max_objects, device_warp=device_warp)
    ((_, rows),) = feed.validation(dataset, 2).as_numpy_iterator()
    assert rows["boxes"].shape == (2, padded, 4)
    assert rows["valid"].sum(axis=1).tolist() == [kept, 1]
    np.testing.assert_allclose(rows["boxes"][0, :kept], boxes[:kept], atol=1e-4)


def test_images_without_objects(numbered):
    ((_, rows), *_) = take(FEED.training(numbered, 4, Augmentation()), 1)
    assert not rows["valid"].any()
    assert (rows["classes"] == -1).all()
    assert rows["boxes"].shape == (4, FEWEST_ROWS, 4)


def test_only_the_wanted_fields(shapes_train):
    _, rows = next(iter(Feed((64, 64), fields=(FIELDS["boxes"],)).validation(shapes_train, 4)))
    assert set(rows) == {"boxes", "valid"}


# The corners of each box, in a field of its own; the right ones are the left ones of a mirror image.
CORNERS = Field("corners", "float32", (2, 2), "points", -1.0, "upper left, upper right", order=(1, 0), labels="known")
KNOWN = Field("known", "int32", (2,), "fixed", 0, "0, 1", order=(1, 0))
TURNS = Augmentation(rotate=30, rotate_probability=0.5, brightness=0, contrast=0, saturation=0, lighting=0)


class Corners(Property):
    """Makes every record hold the corners of its boxes."""

    name = "corners"

    @property
    def fields(self):
        return CORNERS, KNOWN

    def unpack(self, lists, boxes, size):
        corners = np.stack([boxes[:, :2], boxes[:, [2, 1]]], axis=1)
        return {"corners": corners, "known": np.tile(np.int32([0, 1]), (len(boxes), 1))}


class Links(Property):
    """Every object with the one behind it, and what projects to the image."""

    name = "links"

    @property
    def fields(self):
        return (
            Field("links", "int32", (2,), "fixed", -1, "two objects", level="pair", refers=True),
            Field("lens", "float32", (3, 4), "projections", 0.0, "to pixels", level="image"),
        )

    def unpack(self, lists, boxes, size):
        numbers = np.arange(len(boxes) - 1)
        return {"links": np.stack([numbers, numbers + 1], axis=1), "lens": np.eye(3, 4, dtype=np.float32)}


@pytest.mark.parametrize("augment", [STILL, GEOMETRY, TURNS], ids=["still", "moved", "turned"])
def test_fields_of_a_task_move_with_the_image(tmp_path, augment):
    boxes, pictures = [*BOXES[:2], (20, 12, 70, 40), BOXES[3]], []
    for left, top, right, _ in boxes:
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[top - 2 : top + 3, left - 2 : left + 3] = 255, 0, 0
        picture[top - 2 : top + 3, right - 2 : right + 3] = 0, 255, 0
        pictures.append(picture)
    dataset = write(tmp_path, pictures, [[box] for box in boxes])
    feed = Feed((64, 96), max_objects=3, fields=(*SHARED, CORNERS, KNOWN, ROTATED), properties=(Corners(),))
    seen, turned, mirrored = 0, 0, 0
    for inputs, rows in take(feed.training(dataset, 4, augment), 10):
        assert rows["rotated"].shape == (4,) and rows["corners"].shape == (4, 3, 2, 2)
        assert (rows["corners"][~rows["valid"]] == -1).all() and (rows["known"][~rows["valid"]] == 0).all()
        turned += rows["rotated"].sum()
        for image, points, known, box in zip(inputs["image"], rows["corners"], rows["known"], rows["boxes"]):
            # What was known of the right corner goes where that corner goes.
            where = list(known[0])
            assert sorted(where) == [0, 1]
            mirrored += where == [1, 0]
            for point, color in zip(points[0], np.where(known[0] == 1, 1, 0)):
                mask = (image[..., color] > 127) & (image[..., 1 - color] < 127)
                if mask.sum() > 12 and (point > 6).all() and (point < np.array([90, 58])).all():
                    y, x = np.nonzero(mask)
                    np.testing.assert_allclose([x.mean(), y.mean()], point, atol=1.2)
                    seen += 1
            # The sides stay as long, and the box lies straight.
            side = np.linalg.norm(points[0, 1] - points[0, 0])
            assert side == pytest.approx(box[0, 2] - box[0, 0], rel=1e-4)
    assert seen > 15
    assert (turned > 10) == (augment is TURNS) and (mirrored > 5) == (augment is not STILL)


def test_pairs_and_what_an_image_has_one_of(tmp_path):
    dataset = write(tmp_path, [np.zeros((32, 64, 3), np.uint8)] * 2, [[BOXES[0]] * 5, []])
    feed = Feed((64, 128), max_objects=3, fields=(*SHARED, *Links().fields), properties=(Links(),))
    ((_, rows),) = feed.validation(dataset, 2).as_numpy_iterator()
    # Two of five objects are left out, and with them the pairs that they are in.
    np.testing.assert_array_equal(rows["links"], [[[0, 1], [1, 2], [-1, -1]], [[-1, -1]] * 3])
    np.testing.assert_array_equal(rows["lens"], [[[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0]]] * 2)


def test_fields_of_no_property_are_named():
    with pytest.raises(ValueError, match="No property has the fields corners, known"):
        Feed((64, 64), fields=(*SHARED, CORNERS, KNOWN))


def test_boxes_of_turned_images_stay_where_they_were(tmp_path):
    dataset = write(tmp_path, [rectangle(64, 96, BOXES[0])], [[BOXES[0]]])
    turns = dataclasses.replace(TURNS, rotate_probability=1.0, crop=False, shift=0, scale=0, flip=0)
    _, rows = take(Feed((64, 96), fields=(*SHARED, ROTATED)).training(dataset, 1, turns), 1)[0]
    assert rows["rotated"].all()
    expected = affine.move(np.array([BOXES[0]], np.float32), affine.fit_matrix((48, 32), 96, (64, 96)), "boxes")
    np.testing.assert_allclose(rows["boxes"][0, :1], expected, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_images_know_whether_they_were_jittered(numbered, share):
    feed = Feed((64, 64), fields=(*SHARED, JITTERED, ZOOM))
    augment = dataclasses.replace(STILL, shift=0.1, scale=0.4, flip=0.5, jitter_probability=share)
    batches = take(feed.training(numbered, 22, augment), 4)
    assert np.mean([rows["jittered"] for _, rows in batches]) == pytest.approx(share, abs=0.2 if share % 1 else 0)
    ((_, rows),) = take(feed.validation(numbered, 22), 1)
    assert rows["jittered"].shape == (22,) and not rows["jittered"].any()
    assert rows["zoom"].shape == (22,) and (rows["zoom"] == 1).all()
    zooms = np.concatenate([rows["zoom"] for _, rows in batches])
    assert 0.6 < zooms.min() <= 1 <= zooms.max() < 1 / 0.55 and (zooms.std() > 0.05) == (share > 0)


def test_portrait_images_in_a_window_of_the_width(tmp_path):
    dataset = write(tmp_path, [np.full((64, 32, 3), 200, np.uint8)], [[(0, 24, 32, 40)]])
    feed = Feed((64, 64), fields=(*SHARED, JITTERED), window="width")
    for batches in (feed.validation(dataset, 1), feed.training(dataset, 1, STILL).take(1)):
        ((inputs, rows),) = batches.as_numpy_iterator()
        assert not rows["jittered"].any()
        np.testing.assert_allclose(rows["boxes"][0, 0], [0, 16, 64, 48], atol=1e-4)
        assert (inputs["image"][0, :, :62] == 200).all()


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        (FEED, "augment.rotate: boxes do not rotate, and no task here learns anything else"),
        (Feed((64, 64), fields=(*SHARED, ROTATED), device_warp=True), "Set data.device_warp to false."),
        (Feed((64, 64), fields=(*SHARED, JITTERED)), "a task here cannot learn distances. Set augment.crop to false"),
    ],
)
def test_who_cannot_turn_images(numbered, feed, said):
    with pytest.raises(UsageError) as error:
        feed.training(numbered, 4, TURNS)
    assert said in str(error.value)


def test_validation_is_complete_and_in_order(numbered):
    batches = FEED.validation(numbered, 8)
    assert int(batches.cardinality()) == 3
    found = numbers(batches.as_numpy_iterator())
    assert [len(batch) for batch in found] == [8, 8, 6]
    # Three shards are filled in turn and read one after the other.
    assert list(itertools.chain(*found)) == [*range(0, 22, 3), *range(1, 22, 3), *range(2, 22, 3)]


@pytest.mark.parametrize("device_warp", [False, True])
def test_validation_shows_the_whole_image(tmp_path, device_warp):
    box = (0, 0, 64, 32)
    dataset = write(tmp_path, [np.full((32, 64, 3), 200, np.uint8)], [[box]])
    ((inputs, rows),) = Feed((64, 64), device_warp=device_warp).validation(dataset, 1).as_numpy_iterator()
    image = inputs["image"]
    if device_warp:
        image = ops.convert_to_numpy(preprocess.warp(image, inputs["fit"], (64, 64)))
    assert (image[0, 16:48] == 200).all()
    assert (image[0, :15] == 0).all()
    assert (image[0, 49:] == 0).all()
    np.testing.assert_allclose(rows["boxes"][0, 0], [0, 16, 64, 48], atol=1e-4)
    np.testing.assert_array_equal(inputs["color"], [PLAIN_COLOR])


@pytest.mark.parametrize("training", [False, True])
def test_long_images_do_not_make_large_batches(tmp_path, training):
    """A wide image beside a tall one would be padded to a square; what is far larger than the input is warped first."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in ((1500, 20), (20, 1500), (40, 60))]
    dataset = write(tmp_path, pictures, [[(0, 0, 20, 20)]] * 3)

    def batch(device_warp):
        feed = Feed((64, 96), device_warp=device_warp)
        return take(feed.training(dataset, 3, GEOMETRY) if training else feed.validation(dataset, 3), 1)[0]

    (here, rows), (inputs, same_rows) = batch(False), batch(True)
    assert inputs["image"].shape == (3, 64, 96, 3)
    warped = ops.convert_to_numpy(preprocess.warp(inputs["image"], inputs["fit"], (64, 96)))
    long = (inputs["fit"] == [1, 1, 0, 0]).all(axis=1)
    assert long.sum() == 2
    np.testing.assert_array_equal(warped[long], here["image"][long])
    assert same(rows, same_rows)


@pytest.mark.parametrize("augment", [STILL, GEOMETRY], ids=["still", "moved"])
def test_both_warps_make_the_same_pixels(tmp_path, augment):
    """OpenCV rounds positions to 1/32 of a pixel, so a smooth image tells a wrong warp from rounding."""
    random = np.random.default_rng(0)
    pictures = []
    for height, width in [(64, 96), (70, 50), (48, 48), (33, 65)]:
        small = random.integers(0, 256, (4, 5, 3)).astype(np.uint8)
        pictures.append(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    dataset = write(tmp_path, pictures, [[(0, 0, 20, 20)]] * 4)
    host, device = (
        take(Feed((64, 96), device_warp=device_warp).training(dataset, 4, augment), 3) for device_warp in (False, True)
    )
    for (inputs, rows), (whole, whole_rows) in zip(host, device):
        assert all(side % PADDING == 0 for side in whole["image"].shape[1:3])
        warped = ops.convert_to_numpy(preprocess.warp(whole["image"], whole["fit"], (64, 96)))
        difference = np.abs(warped - inputs["image"])
        # Where the border of the picture cuts through a pixel, 1/32 of it is worth eight levels.
        inside = cv2.erode((inputs["image"].max(axis=(0, 3)) > 0).astype(np.uint8), np.ones((3, 3))) > 0
        assert np.median(difference) < 0.5
        assert (difference[:, inside] > 1.5).mean() < 0.02
        assert difference.max() < 10
        assert same(rows, whole_rows)
        np.testing.assert_array_equal(inputs["color"], whole["color"])


@pytest.mark.parametrize(("images", "batch", "advice"), [(1, 2, 1), (3, 8, 3)])
def test_too_few_images_for_a_batch(tmp_path, images, batch, advice):
    dataset = write(tmp_path, [np.zeros((32, 32, 3), np.uint8)] * images, [[]] * images)
    with pytest.raises(UsageError) as error:
        FEED.training(dataset, batch, STILL)
    assert str(error.value) == (
        f"{tmp_path}: {images} images do not fill one batch of {batch}. "
        f"Set train.batch_size to {advice} or less, or add images."
    )


def folder(path):
    path.unlink()
    path.mkdir()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def scribble(path):
    content = bytearray(path.read_bytes())
    content[40] ^= 255
    path.write_bytes(content)


def no_example(path):
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(b"\xff\xff hello")


def no_picture(path):
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(b"\xff\xd8 no picture")
    example.features.feature["image/height"].int64_list.value.append(4)
    example.features.feature["image/width"].int64_list.value.append(4)
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(example.SerializeToString())


def wrong_lists(path):
    rewrite(path, "image/object/area", lambda feature: feature.float_list.value.append(1))


def wrong_label(path):
    rewrite(path, "image/object/class/label", lambda feature: feature.int64_list.value.append(4))


def rewrite(path, key, change):
    (serialized, *_) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    example = tf.train.Example.FromString(serialized)
    change(example.features.feature[key])
    for side in ("xmin", "xmax", "ymin", "ymax"):
        example.features.feature[f"image/object/bbox/{side}"].float_list.value.append(0.5)
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(example.SerializeToString())


SAID = {
    wrong_lists: "(image/object/class/label holds 0 labels for 1 boxes",
    wrong_label: "(object 1 has label 4, but 3 classes are declared, labels 1 to 3: a, b, c)",
}


DAMAGES = (folder, truncate, scribble, no_example, no_picture, wrong_lists, wrong_label)


# Training reads as validation does.
@pytest.mark.parametrize(
    ("damage", "training"),
    [
        *((damage, False) for damage in DAMAGES),
        (truncate, True),
        (wrong_label, True),
        *(
            pytest.param(damage, True, marks=pytest.mark.long)
            for damage in DAMAGES
            if damage not in (truncate, wrong_label)
        ),
    ],
)
def test_damaged_records_are_named(tmp_path, damage, training):
    dataset = write(tmp_path, [np.zeros((32, 32, 3), np.uint8)] * 6, [[]] * 6)
    damage(dataset.shards[1])
    batches = FEED.training(dataset, 6, STILL) if training else FEED.validation(dataset, 2)
    with pytest.raises(DataError) as error, reading(dataset.directory):
        take(batches, 3)
    assert str(error.value).startswith(f"{tmp_path}: a record cannot be read (")
    assert str(error.value).endswith(f"`centernet inspect {tmp_path}` finds which.")
    assert "\n" not in str(error.value) and "ValueError" not in str(error.value)
    assert SAID.get(damage, "") in str(error.value)


def test_the_global_seed_of_zero_changes_nothing(shapes_train):
    def first_batch():
        return next(iter(Feed((64, 64)).training(shapes_train, 4, Augmentation()).take(1)))[1]["boxes"].numpy()

    expected = first_batch()
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        np.testing.assert_array_equal(first_batch(), expected)
