"""Targets and losses of keypoints against slow twins, written keypoint by keypoint as the official sampler says."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import losses
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.pose import Pose

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye", "chin"), flip_pairs=((1, 2),))
KEYPOINTS = len(FACE.keypoints)
GRIDS = [(8, 8), (16, 11), (30, 32)]


def tasks_of(names=("pose",), num_classes=2, skeleton=FACE):
    settings = {"detect": Detect(), "pose": Pose(skeleton=skeleton)}
    return build_tasks({name: settings[name] for name in names}, Centers(num_classes, max_objects=6))


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def tensors_of(values):
    return keras.tree.map_structure(ops.convert_to_tensor, values)


def random_rows(grid, images, objects, seed, rotated=False):
    """Persons of every awkward kind: without labelled keypoint, outside, keypoints outside, two in a cell, padding."""
    random = np.random.default_rng(seed)
    limit = np.array([grid[1], grid[0]], np.float32) * STRIDE
    center = random.uniform(-0.1, 1.1, (images, objects, 2)) * limit
    size = np.exp(random.uniform(np.log(2), np.log(limit.max()), (images, objects, 2)))
    center[:, 1::3] = center[:, 0:-1:3][:, : center[:, 1::3].shape[1]]
    spread = random.choice([0.5, 1.5], (images, objects, 1, 1))
    keypoints = center[:, :, None] + random.uniform(-1, 1, (images, objects, KEYPOINTS, 2)) * size[:, :, None] * spread
    keypoints = np.where(random.random((images, objects, 1, 1)) < 0.1, np.round(keypoints / STRIDE) * STRIDE, keypoints)
    labels = random.integers(0, 3, (images, objects, KEYPOINTS)) * (random.random((images, objects, 1)) > 0.25)
    valid = np.arange(objects) < random.integers(0, objects + 1, (images, 1))
    return {
        "boxes": np.concatenate([center - size / 2, center + size / 2], axis=-1).astype(np.float32),
        "classes": np.where(valid, random.integers(0, 2, valid.shape), -1).astype(np.int32),
        "crowd": random.random(valid.shape) < 0.2,
        "keypoints": keypoints.astype(np.float32),
        "keypoint_labels": labels.astype(np.int32),
        "rotated": random.random(images) < 0.5 if rotated else np.zeros(images, bool),
        "valid": valid,
    }


def slow_radius(height, width):
    total, area, found = height + width, height * width, []
    for a, b, c in [(1, total, area * 0.3 / 1.7), (4, 2 * total, 0.3 * area), (2.8, -1.4 * total, -0.3 * area)]:
        found.append((b + max(b * b - 4 * a * c, 0.0) ** 0.5) / 2)
    return max(0, int(min(found)))


def draw_slowly(plane, x, y, radius):
    sigma = (2 * radius + 1) / 6
    for row in range(max(0, y - radius), min(plane.shape[0], y + radius + 1)):
        for column in range(max(0, x - radius), min(plane.shape[1], x + radius + 1)):
            value = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma * sigma))
            plane[row, column] = max(plane[row, column], value)


def slow_targets(rows, grid, num_classes=2):
    """Section by section as the official sampler of poses: box, centre, size, offset, then keypoint by keypoint."""
    (height, width), (images, objects) = grid, rows["valid"].shape
    targets = {
        "heatmap": np.zeros((images, height, width, num_classes)),
        "box mask": np.zeros((images, objects)),
        "size": np.zeros((images, objects, 2)),
        "offset": np.zeros((images, objects, 2)),
        "index": np.zeros((images, objects), int),
        "keypoints": np.zeros((images, objects, 2 * KEYPOINTS)),
        "keypoints mask": np.zeros((images, objects, 2 * KEYPOINTS)),
        "keypoint_heatmap": np.zeros((images, height, width, KEYPOINTS)),
        "keypoint_offset": np.zeros((images, objects * KEYPOINTS, 2)),
        "keypoint index": np.zeros((images, objects * KEYPOINTS), int),
        "keypoint mask": np.zeros((images, objects * KEYPOINTS)),
    }
    for image, number in zip(*np.nonzero(rows["valid"])):
        rotated = rows["rotated"][image]
        left, top, right, bottom = rows["boxes"][image, number] / np.float32(STRIDE)
        left, right = (np.float32(min(max(value, 0), width - 1)) for value in (left, right))
        top, bottom = (np.float32(min(max(value, 0), height - 1)) for value in (top, bottom))
        if not (right > left and bottom > top) and not rotated:
            continue
        radius = slow_radius(float(np.ceil(bottom - top)), float(np.ceil(right - left)))
        center = np.array([(left + right) / 2, (top + bottom) / 2], np.float32)
        x, y = int(center[0]), int(center[1])
        if not rotated:
            draw_slowly(targets["heatmap"][image, :, :, rows["classes"][image, number]], x, y, radius)
            if rows["keypoint_labels"][image, number].sum() > 0:
                targets["box mask"][image, number] = 1
                targets["size"][image, number] = right - left, bottom - top
                targets["offset"][image, number] = center - [x, y]
                targets["index"][image, number] = y * width + x
        for keypoint, point in enumerate(rows["keypoints"][image, number] / np.float32(STRIDE)):
            outside = point[0] < 0 or point[1] < 0 or point[0] >= width or point[1] >= height
            if rows["keypoint_labels"][image, number, keypoint] == 0 or outside:
                continue
            if not rotated:
                targets["keypoints"][image, number, 2 * keypoint : 2 * keypoint + 2] = point - [x, y]
                targets["keypoints mask"][image, number, 2 * keypoint : 2 * keypoint + 2] = 1
            column, row, place = int(point[0]), int(point[1]), number * KEYPOINTS + keypoint
            targets["keypoint_offset"][image, place] = point - [column, row]
            targets["keypoint index"][image, place] = row * width + column
            targets["keypoint mask"][image, place] = 1
            draw_slowly(targets["keypoint_heatmap"][image, :, :, keypoint], column, row, radius)
    targets["heatmap"][rows["rotated"]] = 0.9999
    return targets


@pytest.mark.parametrize("rotated", [False, True], ids=["upright", "rotated"])
@pytest.mark.parametrize("grid", GRIDS)
def test_targets_equal_the_slow_twin(grid, rotated, as_one):
    rows = random_rows(grid, images=40, objects=9, seed=sum(grid), rotated=rotated)  # more than max_objects
    encode = as_one(lambda rows: tasks_of().encode(rows, grid))
    targets, expected = numpy_of(encode(tensors_of(rows))), slow_targets(rows, grid)
    assert set(targets) == {"heatmap", "offset", "size", "keypoints", "keypoint_heatmap", "keypoint_offset"}
    for name in ("heatmap", "keypoint_heatmap"):
        np.testing.assert_allclose(targets[name]["heatmap"], expected[name], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(targets[name]["heatmap"] == 1, expected[name] == 1)
    for name, mask, index in (
        ("size", "box mask", "index"),
        ("offset", "box mask", "index"),
        ("keypoint_offset", "keypoint mask", "keypoint index"),
    ):
        np.testing.assert_array_equal(targets[name]["mask"][..., 0], expected[mask])
        np.testing.assert_array_equal(targets[name]["index"] * expected[mask], expected[index])
        value = targets[name]["value"] * targets[name]["mask"]
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5)
    keypoints = targets["keypoints"]
    assert 0.02 < expected["keypoints mask"].mean() < 0.5
    np.testing.assert_array_equal(keypoints["mask"], expected["keypoints mask"])
    np.testing.assert_allclose(keypoints["value"], expected["keypoints"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(keypoints["index"] * expected["box mask"], expected["index"])


def slow_l1(values, index, mask, wanted):
    """Values [B, h, w, D]; the rest [B, M, ...]; what is unmasked counts, coordinate by coordinate."""
    total = count = 0.0
    mask = np.broadcast_to(mask if mask.ndim == 3 else mask[..., None], wanted.shape)
    for image, row, axis in zip(*np.nonzero(mask)):
        y, x = divmod(index[image, row], values.shape[2])
        total += abs(values[image, y, x, axis] - wanted[image, row, axis])
        count += 1
    return total / (count + 1e-4)


def slow_focal(logits, heatmap):
    score = np.clip(1 / (1 + np.exp(-logits.astype(float))), 1e-4, 1 - 1e-4)
    hit = ((1 - score) ** 2 * np.log(score))[heatmap == 1]
    miss = ((1 - heatmap) ** 4 * score**2 * np.log(1 - score))[heatmap < 1]
    return -(hit.sum() + miss.sum()) / max(len(hit), 1)


@pytest.mark.parametrize("objects", [0, 1, 9])
@pytest.mark.parametrize("rotated", [False, True], ids=["upright", "rotated"])
def test_losses_equal_the_slow_twin(objects, rotated, as_one):
    grid, tasks = (16, 11), tasks_of()
    rows = random_rows(grid, images=6, objects=objects, seed=4, rotated=rotated)
    random = np.random.default_rng(5)
    maps = {head.name: random.normal(size=(6, *grid, head.channels)).astype(np.float32) for head in tasks.heads}
    judge = as_one(lambda maps, rows: tasks.losses(maps, tasks.encode(rows, grid)))
    values = judge({name: [ops.convert_to_tensor(one)] for name, one in maps.items()}, tensors_of(rows))
    wanted = slow_targets(rows, grid)
    box, keypoint = (wanted["index"], wanted["box mask"]), (wanted["keypoint index"], wanted["keypoint mask"])
    expected = {
        "heatmap": slow_focal(maps["heatmap"], wanted["heatmap"]),
        "offset": slow_l1(maps["offset"], *box, wanted["offset"]),
        "size": slow_l1(maps["size"], *box, wanted["size"]),
        "keypoints": slow_l1(maps["keypoints"], wanted["index"], wanted["keypoints mask"], wanted["keypoints"]),
        "keypoint_heatmap": slow_focal(maps["keypoint_heatmap"], wanted["keypoint_heatmap"]),
        "keypoint_offset": slow_l1(maps["keypoint_offset"], *keypoint, wanted["keypoint_offset"]),
    }
    for name, value in expected.items():
        assert float(ops.convert_to_numpy(values[name])) == pytest.approx(value, rel=1e-5, abs=1e-5), name
    total = sum(expected.values()) - 0.9 * expected["size"]
    assert float(ops.convert_to_numpy(tasks.total(values))) == pytest.approx(total, rel=1e-5)


def test_what_a_mirror_image_does():
    heads = {head.name: head.mirror for head in tasks_of().heads}
    values = ops.convert_to_tensor(np.arange(1, 9, dtype=np.float32).reshape(1, 1, 1, 8))
    assert numpy_of(heads["keypoints"](values)).ravel().tolist() == [-1, 2, -5, 6, -3, 4, -7, 8]
    assert numpy_of(heads["keypoint_heatmap"](values[..., :4])).ravel().tolist() == [1, 3, 2, 4]
    assert heads["keypoint_offset"] is None and heads["offset"] is None


@pytest.mark.parametrize("names", [("detect", "pose"), ("pose", "detect")])
@pytest.mark.slow
def test_beside_detect_every_box_is_trained(names):
    """Alone, the original leaves out boxes of persons without labelled keypoint; other classes have none at all."""
    rows = tensors_of(random_rows((16, 11), images=9, objects=6, seed=1))
    mixed, alone, boxes = (numpy_of(tasks_of(one).encode(rows, (16, 11))) for one in (names, ("pose",), ("detect",)))
    for name in ("heatmap", "offset", "size"):
        keras.tree.map_structure(np.testing.assert_array_equal, mixed[name], boxes[name])
    for name in ("keypoints", "keypoint_heatmap", "keypoint_offset"):
        keras.tree.map_structure(np.testing.assert_array_equal, mixed[name], alone[name])
    assert alone["size"]["mask"].sum() < mixed["size"]["mask"].sum()


def test_heads_and_fields():
    tasks = tasks_of(skeleton=COCO_PERSON, num_classes=1)
    assert {head.name: head.channels for head in tasks.heads} == {
        "heatmap": 1, "offset": 2, "size": 2, "keypoints": 34, "keypoint_heatmap": 17, "keypoint_offset": 2,
    }  # fmt: skip
    biases = {head.name: head.bias for head in tasks.heads}
    assert biases["keypoint_heatmap"] == biases["heatmap"] == -2.19 and biases["keypoints"] == 0
    fields = {field.name: field for field in tasks.fields}
    assert fields["keypoints"].shape == (17, 2) and fields["keypoints"].order[:5] == (0, 2, 1, 4, 3)
    assert fields["keypoint_labels"].shape == (17,) and fields["keypoint_labels"].order == fields["keypoints"].order
    assert {term.name: term.weight for term in tasks.terms}["size"] == 0.1
    assert [term.weight for term in tasks.terms].count(1.0) == 5
    assert {term.function for term in tasks.terms} == {losses.focal, losses.masked_l1}


def test_what_is_found_and_the_property():
    tasks = tasks_of()
    assert tasks.motions == {"boxes": "boxes", "keypoints": "points"}
    assert [find.name for find in tasks.finds] == ["keypoints", "keypoint_scores"]
    assert tasks.properties == (Keypoints(skeleton=FACE),)
    assert {field.name for field in tasks.properties[0].fields} < {field.name for field in tasks.fields}
