"""3D boxes against slow twins, written object by object as the official sampler, losses and decoder say."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.geometry import camera as geometry
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.box3d import Box3d, decode, targets
from centernet_tf.tasks.detect import Detect

GRID = (12, 20)
ROWS = 7


def tasks_of(names=("box3d",), **settings):
    sections = {"detect": Detect(), "box3d": Box3d(**settings)}
    return build_tasks({name: sections[name] for name in names}, Centers(3, max_objects=ROWS))


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def tensors_of(values):
    return keras.tree.map_structure(ops.convert_to_tensor, values)


def random_rows(seed, images=6, objects=5):
    """Objects of every awkward kind: unknown in space, ignored, outside, in jittered images, padding."""
    random = np.random.default_rng(seed)
    limit = np.array([GRID[1], GRID[0]], np.float32) * STRIDE
    center = random.uniform(-0.1, 1.1, (images, objects, 2)) * limit
    size = random.uniform(2, 40, (images, objects, 2))
    valid = np.arange(objects) < random.integers(1, objects + 1, (images, 1))
    has_box3d = valid & (random.random(valid.shape) > 0.2)
    return {
        "boxes": np.concatenate([center - size / 2, center + size / 2], axis=-1).astype(np.float32),
        "classes": np.where(valid, random.integers(0, 3, valid.shape), -1).astype(np.int32),
        "crowd": np.zeros(valid.shape, bool),
        "ignored": valid & (random.random(valid.shape) < 0.2),
        "depths": np.where(has_box3d, random.uniform(2, 60, valid.shape), 0).astype(np.float32),
        "dimensions": np.where(has_box3d[..., None], random.uniform(0.5, 5, (*valid.shape, 3)), 0).astype(np.float32),
        "middles": (center + random.uniform(-30, 30, center.shape)).astype(np.float32),
        "alphas": np.where(has_box3d, random.uniform(-np.pi, np.pi, valid.shape), 0).astype(np.float32),
        "has_box3d": has_box3d,
        "jittered": np.arange(images) % 3 == 1,
        "valid": valid,
    }


def boxed(rows):
    """(image, row, (left, top, right, bottom) on the grid) of the objects that train their boxes."""
    height, width = GRID
    for image, row in zip(*np.nonzero(rows["valid"] & ~rows["ignored"])):
        left, top, right, bottom = rows["boxes"][image, row] / np.float32(STRIDE)
        left, right = (np.float32(min(max(value, 0), width - 1)) for value in (left, right))
        top, bottom = (np.float32(min(max(value, 0), height - 1)) for value in (top, bottom))
        if right > left and bottom > top:
            yield image, row, (left, top, right, bottom)


def trained(rows):
    """(image, row, x, y) of the objects that train their orientations."""
    for image, row, (left, top, right, bottom) in boxed(rows):
        if rows["has_box3d"][image, row]:
            yield image, row, int((left + right) / 2), int((top + bottom) / 2)


def slow_box_losses(rows, maps, count):
    """Offset and size: the errors of both coordinates, divided by 2 x count."""
    found = {"offset": 0.0, "size": 0.0}
    for image, _, (left, top, right, bottom) in boxed(rows):
        x, y = (left + right) / 2, (top + bottom) / 2
        for name, value in {"offset": (x - int(x), y - int(y)), "size": (right - left, bottom - top)}.items():
            found[name] += np.abs(maps[name][image, int(y), int(x)] - np.float32(value)).sum() / (2 * count)
    return found


def slow_losses(rows, maps):
    """Sections 1.2 and 1.6: all rows of an image count, those cut off too."""
    count = len(rows["valid"]) * ROWS
    found = {"depth": 0.0, "dimensions": 0.0, "rotation": 0.0, **slow_box_losses(rows, maps, count)}
    entropy, inside = np.full((count, 2), np.log(2)), [[], []]
    for image, row, x, y in trained(rows):
        if not rows["jittered"][image]:
            depth = 1 / (1 / (1 + np.exp(-maps["depth"][image, y, x, 0].astype(float))) + 1e-6) - 1
            found["depth"] += abs(depth - rows["depths"][image, row]) / count
            wrong = np.abs(maps["dimensions"][image, y, x] - rows["dimensions"][image, row])
            found["dimensions"] += wrong.sum() / (3 * count)
        alpha, answer = rows["alphas"][image, row], maps["rotation"][image, y, x].astype(float)
        chosen = (
            alpha < np.pi / 6 or alpha > 5 * np.pi / 6,
            alpha > -np.pi / 6 or alpha < -5 * np.pi / 6,
        )
        for number, middle in enumerate((-np.pi / 2, np.pi / 2)):
            logits = answer[4 * number : 4 * number + 2]
            entropy[image * ROWS + row, number] = np.log(np.exp(logits).sum()) - logits[int(chosen[number])]
            if chosen[number]:
                residual = alpha - middle
                inside[number].append(answer[4 * number + 2 : 4 * number + 4] - [np.sin(residual), np.cos(residual)])
    found["rotation"] = entropy.mean(axis=0).sum()
    for errors in filter(len, inside):
        size = np.abs(np.array(errors))
        found["rotation"] += np.where(size < 1, size**2 / 2, size - 0.5).mean(axis=0).sum()
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept", [5, 3], ids=["all", "trimmed"])
def test_losses_equal_the_slow_twin(seed, kept, as_one):
    rows, tasks, random = random_rows(seed), tasks_of(), np.random.default_rng(seed + 100)
    rows["valid"][:, kept:] = False
    maps = {head.name: random.normal(size=(6, *GRID, head.channels)).astype(np.float32) for head in tasks.heads}
    cut = {name: values if name == "jittered" else values[:, :kept] for name, values in rows.items()}
    judge = as_one(lambda maps, rows: tasks.losses(maps, tasks.encode(rows, GRID)))
    values = numpy_of(judge({name: [ops.convert_to_tensor(one)] for name, one in maps.items()}, tensors_of(cut)))
    assert len(list(trained(rows))) > 3
    expected = slow_losses(rows, maps)
    assert {*expected, "heatmap"} == set(values)
    for name, value in expected.items():
        assert float(values[name]) == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("others", [["detect"], ["detect", "box3d"]], ids=str)
def test_size_and_offset_as_those_of_boxes_alone_beside_them(others):
    """Boxes, alone and with 3D boxes, count the objects that there are."""
    rows, random = random_rows(0), np.random.default_rng(3)
    tasks = tasks_of(others)
    maps = {head.name: random.normal(size=(6, *GRID, head.channels)).astype(np.float32) for head in tasks.heads}
    made = tasks.encode(tensors_of(rows), GRID)
    values = numpy_of(tasks.losses({name: [ops.convert_to_tensor(one)] for name, one in maps.items()}, made))
    for name, expected in slow_box_losses(rows, maps, len(list(boxed(rows))) + 5e-5).items():
        assert float(values[name]) == pytest.approx(expected, rel=1e-5), name


def test_one_object_of_fifty_rows(as_one):
    """Its offset is wrong by 1 in both coordinates: 2 / (50 x 2), as the original's mean over all rows."""
    rows = {name: values[:1, :1] if values.ndim > 1 else values[:1] for name, values in scene(0)[1].items()}
    rows["boxes"] = np.float32([[[40, 40, 56, 64]]])  # centre (12, 13)
    for classes in (1, 3):
        tasks = build_tasks({"box3d": Box3d()}, Centers(classes, max_objects=50, class_specific_size=classes > 1))
        maps = {head.name: np.zeros((1, 48, 80, head.channels), np.float32) for head in tasks.heads}
        maps["offset"][0, 13, 12] = 1
        judge = as_one(lambda maps, rows, tasks=tasks: tasks.losses(maps, tasks.encode(rows, (48, 80))))
        shown = tensors_of({**rows, "classes": np.zeros((1, 1), np.int32)})
        values = numpy_of(judge({name: [ops.convert_to_tensor(one)] for name, one in maps.items()}, shown))
        assert float(values["offset"]) == pytest.approx(0.02)
        assert float(values["size"]) == pytest.approx((4 + 6) / 100)


@pytest.mark.parametrize("seed", range(4))
def test_amodal_offset_equals_the_slow_twin(seed):
    """The mean over the coordinates of objects known in space, jittered or not; not of those behind the camera."""
    rows, tasks = random_rows(seed), tasks_of(amodal_offset=True)
    rows["depths"][:2] *= -1
    map_ = np.random.default_rng(seed).normal(size=(6, *GRID, 2)).astype(np.float32)
    errors = []
    for image, row, x, y in trained(rows):
        if rows["depths"][image, row] - rows["dimensions"][image, row, 1:].max() / 2 > 0.1:
            low, high = rows["boxes"][image, row].reshape(2, 2) / STRIDE
            center = (low.clip(0, (GRID[1] - 1, GRID[0] - 1)) + high.clip(0, (GRID[1] - 1, GRID[0] - 1))) / 2
            errors += list(np.abs(map_[image, y, x] - (rows["middles"][image, row] / STRIDE - center)))
    target = tasks.encode(tensors_of(rows), GRID)["amodal_offset"]
    (term,) = (term for term in tasks.terms if term.name == "amodal_offset")
    assert len(errors) > 3 and term.weight == 1
    found = float(ops.convert_to_numpy(term.function(ops.convert_to_tensor(map_), target)))
    assert found == pytest.approx(sum(errors) / (len(errors) + 1e-4), rel=1e-5)


def test_the_floor_of_padded_rows():
    rows = random_rows(0)
    rows["valid"][:] = False
    maps = {
        head.name: [ops.convert_to_tensor(np.ones((6, *GRID, head.channels), np.float32))] for head in tasks_of().heads
    }
    values = numpy_of(tasks_of().losses(maps, tasks_of().encode(tensors_of(rows), GRID)))
    assert float(values["rotation"]) == pytest.approx(2 * np.log(2))
    assert values["depth"] == values["dimensions"] == 0


def test_jittered_images_train_directions_alone():
    rows = random_rows(1)
    made = numpy_of(tasks_of().encode(tensors_of(rows), GRID))
    assert not made["depth"]["mask"][rows["jittered"]].any() and made["depth"]["mask"].any()
    np.testing.assert_array_equal(made["depth"]["mask"], made["dimensions"]["mask"])
    wanted = np.zeros(rows["valid"].shape)
    for image, row, _, _ in trained(rows):
        wanted[image, row] = 1
    np.testing.assert_array_equal(made["rotation"]["mask"][..., 0], wanted)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1, 0.6, 0.8, 0, -1, 0.3, 0.2], -0.927295), ([0, -1, 0.6, 0.8, 0, 1, 0.6, -0.8], 4.068888 - 2 * np.pi)],
)
def test_direction_as_published(values, expected):
    """The second is not wrapped in the original."""
    found = ops.convert_to_numpy(decode.to_alphas(ops.convert_to_tensor(np.float32([values]))))
    np.testing.assert_allclose(found, [expected], atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.floats(-np.pi, np.pi))
def test_any_direction_comes_back(alpha):
    bins, residuals = numpy_of(targets.bins_of(ops.convert_to_tensor(np.float32([alpha]))))
    assert bins.sum() >= 1
    assert bins.sum() == 2 if abs(np.sin(alpha)) < 0.49 else bins.sum() == 1 or abs(np.sin(alpha)) < 0.51
    for number in range(2):
        answer = np.zeros(8, np.float32)
        answer[[2, 3, 6, 7]] = np.stack([np.sin(residuals[0]), np.cos(residuals[0])], axis=-1).ravel()
        answer[1 + 4 * number] = 1
        found = ops.convert_to_numpy(decode.to_alphas(ops.convert_to_tensor(answer[None])))
        np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * np.float64([alpha])), atol=1e-5)


@pytest.mark.parametrize("metres", [0.5, 1.0, 7.3, 60.0, 150.0])
def test_depth(metres):
    share = 1 / (metres + 1)
    logit = np.float32([[np.log(share / (1 - share))]])
    assert float(ops.convert_to_numpy(decode.to_metres(ops.convert_to_tensor(logit)))[0, 0]) == pytest.approx(
        1 / (share + 1e-6) - 1, rel=1e-5
    )


def scene(seed, objects=4, apart=0):
    """Objects in space before two cameras, and the rows that they are in images of 320 x 192 pixels.

    The middles of boxes lie up to `apart` pixels from those of the objects.
    """
    random = np.random.default_rng(seed)
    cameras = np.stack(
        [[[f, 0, 160, shift], [0, f, 96, -shift / 9], [0, 0, 1, ahead]] for f, shift, ahead in random.uniform(
            [180, -40, -0.2], [260, 40, 0.2], (2, 3)
        )]
    ).astype(np.float32)  # fmt: skip
    # One object in each quarter, so that each has a cell of its own.
    quarter = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])[:objects]
    middles = ((quarter + random.uniform(0.3, 0.7, (2, objects, 2))) * [160, 96]).astype(np.float32)
    depths = random.uniform(4, 60, (2, objects)).astype(np.float32)
    dimensions = random.uniform(0.5, 5, (2, objects, 3)).astype(np.float32)
    locations = geometry.unproject(middles, depths + cameras[:, 2, 3, None], cameras)
    locations[..., 1] += dimensions[..., 0] / 2
    rotations = random.uniform(-np.pi, np.pi, (2, objects)).astype(np.float32)
    half = random.uniform(6, 20, (2, objects, 2)).astype(np.float32)
    boxed = (middles + random.uniform(-apart, apart, middles.shape)).astype(np.float32) if apart else middles
    rows = {
        "boxes": np.concatenate([boxed - half, boxed + half], axis=-1),
        "middles": middles,
        "classes": random.integers(0, 3, (2, objects)).astype(np.int32),
        "crowd": np.zeros((2, objects), bool),
        "ignored": np.zeros((2, objects), bool),
        "depths": depths,
        "dimensions": dimensions,
        "alphas": geometry.rotation_to_alpha(rotations, middles[..., 0], cameras),
        "has_box3d": np.ones((2, objects), bool),
        "jittered": np.zeros(2, bool),
        "valid": np.ones((2, objects), bool),
    }
    return cameras, rows, {"locations": locations, "rotations": rotations, "dimensions": dimensions}


def perfect_maps(tasks, made, grid):
    """Maps [2, h, w, C] that answer the targets exactly."""
    maps = {head.name: np.zeros((2, grid[0] * grid[1], head.channels), np.float32) for head in tasks.heads}
    heatmap = np.clip(made["heatmap"]["heatmap"], 1e-6, 1 - 1e-6)
    maps["heatmap"] = np.log(heatmap / (1 - heatmap))
    share = 1 / (made["depth"]["value"] + 1) - 1e-6
    wanted = {"depth": np.log(share / (1 - share)), "dimensions": made["dimensions"]["value"]}
    wanted |= {name: made[name]["value"] for name in ("offset", "size", "amodal_offset") if name in made}
    bins, residuals = made["rotation"]["bins"], made["rotation"]["residuals"]
    turn = np.stack([1 - bins, bins, np.sin(residuals), np.cos(residuals)], axis=-1)
    wanted["rotation"] = turn.reshape(*bins.shape[:2], 8)
    for name, values in wanted.items():
        for image, cells in enumerate(made["depth"]["index"]):
            maps[name][image, cells] = values[image]
    return {name: [ops.convert_to_tensor(values.reshape(2, *grid, -1))] for name, values in maps.items()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sized", [True, False], ids=["size", "no size"])
@pytest.mark.parametrize("apart", [0, 12], ids=["in the middle", "apart"])
def test_objects_come_back_in_metres(seed, sized, apart, as_one):
    """Two cameras in one batch; nothing but 1e-6 of the depth's transform and float32 is lost."""
    cameras, rows, truth = scene(seed, apart=apart)
    tasks, grid = tasks_of(size=sized, amodal_offset=apart > 0), (48, 80)
    made = numpy_of(as_one(lambda rows: tasks.encode(rows, grid))(tensors_of(rows)))
    assert ("size" in made) == sized
    found = as_one(tasks.decode)(perfect_maps(tasks, made, grid))
    assert ("boxes" in found) == sized
    found = {name: value * STRIDE if name in tasks.motions else value for name, value in found.items()}
    found = numpy_of(tasks.place(found, {"camera": ops.convert_to_tensor(cameras)}))
    for image in range(2):
        kept = found["scores"][image] > 0.5
        order = np.argsort(found["middles"][image, kept, 0])
        wanted = np.argsort(rows["middles"][image, :, 0])
        same = {name: (found[name][image, kept][order], value[image][wanted]) for name, value in truth.items()}
        np.testing.assert_allclose(*same["locations"], atol=5e-3)
        np.testing.assert_allclose(*same["dimensions"], atol=1e-5)
        turn = np.subtract(*same["rotations"])
        np.testing.assert_allclose(np.exp(1j * turn), 1, atol=1e-4)
        if not sized:
            corners = geometry.corners(*(value[image][wanted] for value in (
                truth["locations"], truth["dimensions"], truth["rotations"]
            )))  # fmt: skip
            if (corners[..., 2] > 1).all():
                pixels = geometry.project(corners, cameras[image])
                expected = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=-1)
                np.testing.assert_allclose(found["boxes"][image, kept][order], expected, rtol=1e-2, atol=0.1)


def test_corners_behind_the_camera_give_finite_boxes():
    arrays = np.float32([[[1, 2, 0.5]]]), np.float32([[[1.5, 2, 9]]]), np.float32([[1.5]])
    tensors = [ops.convert_to_tensor(values) for values in (*arrays, DEFAULT_CAMERA[None])]
    assert np.isfinite(ops.convert_to_numpy(decode.boxes_around(*tensors))).all()


def test_a_mirror_image_shows_the_middle_on_the_other_side():
    (head,) = (head for head in tasks_of(amodal_offset=True).heads if head.name == "amodal_offset")
    mirrored = head.mirror(ops.convert_to_tensor(np.float32([[[[2, 3]]]])))
    np.testing.assert_array_equal(ops.convert_to_numpy(mirrored), [[[[-2, 3]]]])


def test_heads_terms_and_fields():
    tasks = tasks_of()
    assert {head.name: head.channels for head in tasks.heads} == {
        "heatmap": 3, "offset": 2, "size": 2, "depth": 1, "rotation": 8, "dimensions": 3,
    }  # fmt: skip
    weights = {term.name: term.weight for term in tasks.terms}
    assert weights == {"heatmap": 1, "offset": 1, "size": 0.1, "depth": 1, "rotation": 1, "dimensions": 1}
    names = [find.name for find in tasks.finds]
    assert names == ["depths", "dimensions", "alphas", "middles", "locations", "rotations"]
    assert tasks.properties == (Boxes3d(),)
    assert tasks.motions == {"boxes": "boxes", "middles": "points"}
    bare = tasks_of(size=False)
    assert "size" not in {head.name for head in bare.heads} | {term.name for term in bare.terms}
    assert "size" in {head.name for head in tasks_of(["box3d", "detect"], size=False).heads}
    amodal = tasks_of(amodal_offset=True)
    assert amodal.finds == tasks.finds and amodal.motions == tasks.motions
    assert {head.name for head in amodal.heads} - {head.name for head in tasks.heads} == {"amodal_offset"}


@pytest.mark.parametrize(("names", "whole"), [(["box3d"], False), (["detect"], True), (["box3d", "detect"], True)])
def test_radius_of_raw_sides_where_all_tasks_want_it(names, whole):
    rows = {name: values[:, :1] if values.ndim > 1 else values for name, values in scene(0)[1].items()}
    rows["boxes"][:] = [40, 40, 40 + 4 * 10.98, 40 + 4 * 10.98]  # A radius of 3.0009, or of 3.006 for 11.
    rows["boxes"][0] = [40, 40, 40 + 4 * 10.95, 40 + 4 * 10.95]  # 2.993
    centers = tasks_of(names).locate(tensors_of(rows), (48, 80))
    assert ops.convert_to_numpy(centers["radius"])[:, 0].tolist() == [3 if whole else 2, 3]


def test_the_camera_that_an_image_needs():
    (extra,) = tasks_of().extras
    assert (extra.name, extra.shape, extra.usual) == ("camera", (3, 4), None)
    assert tasks_of(["detect"]).extras == ()
    (extra,) = tasks_of(camera=DEFAULT_CAMERA[:, :3]).extras
    np.testing.assert_allclose(np.float32(extra.usual)[:, :3], DEFAULT_CAMERA[:, :3])
    assert extra == tasks_of(camera=DEFAULT_CAMERA[:, :3]).extras[0], "two tasks may need the same"
    with pytest.raises(ValueError, match="A camera is 3x4"):
        extra.check([[1, 2]])
    half = extra.fit(DEFAULT_CAMERA[None], np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    np.testing.assert_allclose(half[0, :2], DEFAULT_CAMERA[:2] / 2)
    with pytest.raises(ValueError, match="A camera is 3x4"):
        Box3d(camera=[[1, 2]])
