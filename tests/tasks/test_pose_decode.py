"""Decoded keypoints against a slow twin, written rule by rule as the paper and the official decoder say."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import Centers
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.pose import Pose, decode

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye", "chin"), flip_pairs=((1, 2),))
KEYPOINTS = len(FACE.keypoints)
GRIDS = [(8, 8), (16, 11), (30, 32)]


def tasks_of(num_classes=1, classes=None, search=None, **options):
    names = ("ball", "person")[:num_classes]
    pose = Pose(skeleton=FACE, classes=classes, **(search or {}))
    return build_tasks({"pose": pose}, Centers(num_classes, class_names=names, **options))


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def tensors_of(values):
    return keras.tree.map_structure(ops.convert_to_tensor, values)


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def slow_peaks(scores, count):
    """[(score, x, y)] of the largest cells of their neighbourhoods in [h, w], best first."""
    found = []
    for y, x in np.ndindex(*scores.shape):
        if scores[y, x] == scores[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max():
            found.append((scores[y, x], x, y))
    return sorted(found, reverse=True)[:count]


def slow_decode(maps, found, count, threshold=0.1, reach=0.3):
    """Section 4.2 and the official decoder: for each object and keypoint, rule by rule.

    Args:
        maps: Of one image, [h, w, channels].
        found: Objects [(score, class, x, y)] by whole cells.
        count: Candidates of a keypoint.
        threshold: Score that they must be above.
        reach: How far away they may be, of the longer side of the box; as far as they like if None.
    """
    keypoints = maps["keypoint_heatmap"].shape[-1]
    scores = sigmoid(maps["keypoint_heatmap"])
    candidates = [
        [
            (score, x + maps["keypoint_offset"][y, x, 0], y + maps["keypoint_offset"][y, x, 1])
            for score, x, y in slow_peaks(scores[..., keypoint], count)
            if score > threshold
        ]
        for keypoint in range(keypoints)
    ]
    points, confidence = np.zeros((len(found), keypoints, 2)), np.full((len(found), keypoints), 0.1)
    for row, (_, _, x, y) in enumerate(found):
        center = maps["offset"][y, x] + [x, y]
        width, height = maps["size"][y, x]
        half = np.array([width / 2, height / 2])
        left, top, right, bottom = *(center - half), *(center + half)
        for keypoint in range(keypoints):
            points[row, keypoint] = told = maps["keypoints"][y, x, 2 * keypoint : 2 * keypoint + 2] + [x, y]
            if not candidates[keypoint]:
                continue
            score, near_x, near_y = min(
                candidates[keypoint], key=lambda one: (told[0] - one[1]) ** 2 + (told[1] - one[2]) ** 2
            )
            distance = np.hypot(told[0] - near_x, told[1] - near_y)
            outside = near_x < left or near_x > right or near_y < top or near_y > bottom
            if not outside and (reach is None or distance <= reach * max(width, height)):
                points[row, keypoint], confidence[row, keypoint] = (near_x, near_y), score
    return points, confidence


def random_maps(grid, images, seed, keypoints=KEYPOINTS, num_classes=1, level=-2.0):
    random = np.random.default_rng(seed)

    def normal(channels, mean=0.0, spread=1.0):
        return random.normal(mean, spread, (images, *grid, channels)).astype(np.float32)

    return {
        "heatmap": normal(num_classes, -2, 2),
        "offset": random.random((images, *grid, 2), np.float32),
        "size": random.uniform(0.5, max(grid), (images, *grid, 2)).astype(np.float32),
        "keypoints": normal(2 * keypoints, spread=max(grid) / 5),
        "keypoint_heatmap": normal(keypoints, level, 1.5),
        "keypoint_offset": random.random((images, *grid, 2), np.float32),
    }


@pytest.mark.parametrize("level", [-9.0, -3.0, 0.0], ids=["no candidate", "some", "crowded"])
@pytest.mark.parametrize("grid", GRIDS)
def test_decode_equals_the_slow_twin(grid, level, as_one):
    maps = random_maps(grid, images=5, seed=1, level=level)
    tasks = tasks_of(max_objects=12)
    found = numpy_of(as_one(tasks.decode)({name: [ops.convert_to_tensor(one)] for name, one in maps.items()}))
    assert found["keypoints"].shape == (5, 12, KEYPOINTS, 2) and found["keypoint_scores"].shape == (5, 12, KEYPOINTS)
    moved = []
    for image in range(5):
        one = {name: values[image] for name, values in maps.items()}
        objects = [(score, 0, x, y) for score, x, y in slow_peaks(sigmoid(one["heatmap"][..., 0]), 12)]
        points, scores = slow_decode(one, objects, 100)
        np.testing.assert_allclose(found["keypoints"][image, : len(objects)], points, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found["keypoint_scores"][image, : len(objects)], scores, atol=1e-5)
        moved.append((scores > 0.1).mean())
    assert (np.mean(moved) > 0.1) == (level > -9)


def test_peaks_anywhere_in_the_box_as_centertrack_takes_them(as_one):
    maps = random_maps((16, 11), images=2, seed=3, level=-1.0)
    tensors = {name: [ops.convert_to_tensor(one)] for name, one in maps.items()}
    options = ({}, {"peak_threshold": 0.2, "peak_reach": None})
    usual, found = (numpy_of(as_one(tasks_of(search=one, max_objects=12).decode)(tensors)) for one in options)
    for image in range(2):
        one = {name: values[image] for name, values in maps.items()}
        objects = [(score, 0, x, y) for score, x, y in slow_peaks(sigmoid(one["heatmap"][..., 0]), 12)]
        points, scores = slow_decode(one, objects, 100, 0.2, None)
        np.testing.assert_allclose(found["keypoints"][image, : len(objects)], points, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found["keypoint_scores"][image, : len(objects)], scores, atol=1e-5)
    assert np.abs(usual["keypoints"] - found["keypoints"]).max() > 1


def one_keypoint(decoded, told, peaks, box=(10.0, 10.0)):
    """Keypoint and score of one object at cell (8, 8) of a 20 x 20 grid, told a way; peaks are {(x, y): score}."""
    maps = {
        name: np.zeros((1, 20, 20, depth), np.float32) for name, depth in (("keypoints", 2), ("keypoint_offset", 2))
    }
    heatmap = np.full((1, 20, 20, 1), -20.0, np.float32)
    for (x, y), score in peaks.items():
        heatmap[0, y, x] = np.log(score / (1 - score))
    maps["keypoints"][0, 8, 8] = told
    center = ops.convert_to_tensor(np.float32([[[8, 8]] * 3]))
    half = np.float32(box) / 2
    shown = {
        "scores": ops.ones((1, 3)), "classes": ops.zeros((1, 3), "int32"), "center": center, "cell": center,
        "index": ops.convert_to_tensor(np.int32([[8 * 20 + 8] * 3])),
    }  # fmt: skip
    boxes = ops.concatenate([center - half, center + half], axis=-1)
    found = numpy_of(decoded(tensors_of({**maps, "keypoint_heatmap": heatmap}), shown, boxes))
    return found["keypoints"][0, 0, 0].tolist(), pytest.approx(float(found["keypoint_scores"][0, 0, 0]), abs=1e-5)


@pytest.mark.parametrize(
    ("told", "peaks", "box", "keypoint", "score"),
    [
        ((2, 0), {}, (10, 10), [10, 8], 0.1),
        ((2, 0), {(11, 8): 0.7}, (10, 10), [11, 8], 0.7),
        ((2, 0), {(11, 8): 0.05}, (10, 10), [10, 8], 0.1),
        ((2, 0), {(13, 8): 0.7}, (10, 10), [13, 8], 0.7),  # on the box's edge, 0.3 of its side away
        ((2, 0), {(10, 12): 0.7}, (10, 10), [10, 8], 0.1),  # too far
        ((4.5, 0), {(14, 8): 0.7}, (10, 10), [12.5, 8], 0.1),  # beyond the box
        ((2, 0), {(10, 12): 0.7}, (10, 14), [10, 12], 0.7),  # the longer side counts
        ((2, 0), {(11, 8): 0.2, (9, 8): 0.9}, (10, 10), None, None),
        ((2.1, 0), {(11, 8): 0.2, (8, 8): 0.9}, (10, 10), [11, 8], 0.2),  # the nearest, not the best
    ],
)
def test_when_a_keypoint_moves(told, peaks, box, keypoint, score, as_one):
    place, sure = one_keypoint(as_one(decode.decode), told, {**peaks}, box)
    if keypoint is None:  # of two as near, either
        assert place in ([11, 8], [9, 8])
    else:
        assert place == pytest.approx(keypoint, abs=1e-5) and score == sure


@pytest.mark.slow
def test_classes_without_keypoints_have_them_at_the_center_without_score():
    maps = random_maps((16, 11), images=3, seed=2, num_classes=2)
    outputs = {name: [ops.convert_to_tensor(one)] for name, one in maps.items()}
    every, some = (numpy_of(tasks_of(2, max_objects=6, classes=which).decode(outputs)) for which in (None, ("person",)))
    has = some["classes"] == 1
    assert has.any() and not has.all()
    for name in ("keypoints", "keypoint_scores"):
        np.testing.assert_array_equal(some[name][has], every[name][has])
    assert not some["keypoint_scores"][~has].any()
    middle = (some["boxes"][..., :2] + some["boxes"][..., 2:]) / 2
    np.testing.assert_allclose(some["keypoints"][~has], np.repeat(middle[~has][:, None], KEYPOINTS, 1), atol=1e-4)


def test_few_objects_have_the_keypoints_that_many_have(as_one):
    """Peaks of keypoints are the image's: those of the best three objects may score less than those of others."""
    maps = {
        name: [ops.convert_to_tensor(one)] for name, one in random_maps((20, 30), images=3, seed=4, level=0).items()
    }
    many, few = (numpy_of(as_one(tasks_of(max_objects=count).decode)(maps)) for count in (60, 3))
    for name, values in few.items():
        np.testing.assert_allclose(values, many[name][:, :3], atol=1e-5, err_msg=name)
    scarce = numpy_of(as_one(tasks_of(max_objects=3, candidates=3).decode)(maps))
    assert np.abs(scarce["keypoints"] - few["keypoints"]).max() > 0.1


@pytest.mark.slow
def test_compiled_decode_of_any_batch_and_small_grids():
    tasks = tasks_of(max_objects=50)

    class Decoder(keras.Model):
        def call(self, outputs):
            return tasks.decode({name: [value] for name, value in outputs.items()})

    model = Decoder()
    for images in (1, 3, 2):
        maps = random_maps((5, 6), images=images, seed=images)
        compiled = model.predict(maps, verbose=0)
        # Image by image, so that JAX compiles the operations of one shape.
        alone = [
            numpy_of(tasks.decode({name: [ops.convert_to_tensor(one[image, None])] for name, one in maps.items()}))
            for image in range(images)
        ]
        eager = {name: np.concatenate([one[name] for one in alone]) for name in alone[0]}
        for name, values in eager.items():
            real = eager["scores"] > 0
            np.testing.assert_allclose(compiled[name][real], values[real], rtol=1e-5, atol=1e-5)
