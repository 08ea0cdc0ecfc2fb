"""Targets, losses with gradients and decoding of masks equal the golden values; empty and unknown cases first."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.geometry import affine, patches
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.mask import Mask, losses, targets


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def close(found, expected, name=""):
    """Within 1e-4 of the largest value, as the golden values say."""
    np.testing.assert_allclose(numpy_of(found), expected, atol=1e-4 * np.abs(expected).max(), err_msg=name)


def rows_of(masks, boxes, classes, crowd, **more):
    """Rows of one image from masks of the whole image [N, H, W], boxes in pixels of the network's input."""
    return {
        "masks": masks[None].astype(np.float32),
        "boxes": boxes[None].astype(np.float32),
        "classes": np.int32(classes)[None],
        "crowd": np.array(crowd, bool)[None],
        "valid": np.ones((1, len(masks)), bool),
        **more,
    }


# Losses. Gradients are what a step changes, so that those of small ones are taken of a multiple of the loss.
LARGE = 1000.0
TARGETS = {"value": "target", "weight": "weight"}


def test_the_product_s_cross_entropy_and_its_gradients_equal_golden(points_golden, gradients):
    arrays, _ = points_golden("centermask-product-bce")
    start = {name: arrays[name].astype(np.float32) for name in ("L", "G")}
    truth = arrays["T"].astype(np.float32)
    close(losses.product_bce(*map(ops.convert_to_tensor, start.values()), truth), arrays["loss"])
    found = gradients(lambda maps: ops.sum(losses.product_bce(maps["L"][0], maps["G"][0], truth)), start)
    for name in start:
        close(found[name], arrays[f"grad_{name}"], name)


def golden_case(arrays, meta):
    """Maps and targets of the golden file: cells without an object hold numbers that nobody reads."""
    height, width, _ = arrays["saliency"].shape
    shape = np.full((1, height * width, meta["S"] ** 2), 3.0, np.float32)
    shape[0, arrays["index"]] = arrays["shape_vector"]
    start = {"shape": shape.reshape(1, height, width, -1), "saliency": arrays["saliency"][None]}
    # A mask of the whole grid is a patch over a box that ends half a cell beyond its outermost cells.
    whole = np.tile(np.float32([-0.5, -0.5, width - 0.5, height - 0.5]), (1, len(arrays["index"]), 1))
    frames = arrays["box"][None].astype(np.float32)
    columns, lines = (patches.places(frames[..., low], frames[..., low + 2], meta["grid"]) for low in (0, 1))
    value = patches.paste(arrays["instance"][None].astype(np.float32), whole, columns, lines)
    target = {
        "index": arrays["index"][None].astype(np.int32),
        "channels": arrays["cls"][None].astype(np.int32),
        "frames": frames,
        "mask": arrays["valid"][None].astype(np.float32),
        "value": value,
    }
    return start, target


def test_the_loss_of_masks_and_its_gradients_equal_golden(points_golden, gradients):
    arrays, meta = points_golden("centermask-loss")
    start, target = golden_case(arrays, meta)
    found = losses.product(*(ops.convert_to_tensor(one) for one in start.values()), target)
    assert float(numpy_of(found)) == pytest.approx(meta["mask_loss"], rel=1e-5)
    for place, wanted in zip(np.flatnonzero(arrays["valid"]), arrays["per_object"]):
        alone = {**target, "mask": np.eye(len(arrays["valid"]), dtype=np.float32)[None, place]}
        one = losses.product(*(ops.convert_to_tensor(one) for one in start.values()), alone)
        assert float(numpy_of(one)) == pytest.approx(wanted, rel=1e-5)
    moved = gradients(lambda maps: LARGE * losses.product(maps["shape"][0], maps["saliency"][0], target), start)
    moved = {name: value / LARGE for name, value in moved.items()}
    close(moved["saliency"][0], arrays["grad_saliency"])
    vectors = moved["shape"].reshape(-1, meta["S"] ** 2)
    close(vectors[arrays["index"]], arrays["grad_shape_vector"])
    assert np.count_nonzero(vectors.any(axis=1)) == arrays["valid"].sum()


def test_the_direct_loss_of_saliency_and_its_gradient_equal_golden(points_golden, gradients):
    arrays, meta = points_golden("centermask-loss")
    target = {
        "value": np.float32(arrays["saliency_target"])[None],
        "weight": np.float32(arrays["saliency_weight"])[None],
    }
    start = {"saliency": arrays["saliency"][None]}
    found = losses.direct_saliency(ops.convert_to_tensor(start["saliency"]), target)
    assert float(numpy_of(found)) == pytest.approx(meta["direct_saliency_loss"], rel=1e-5)
    moved = gradients(lambda maps: LARGE * losses.direct_saliency(maps["saliency"][0], target), start)
    close(moved["saliency"][0] / LARGE, arrays["grad_direct"])


@pytest.mark.parametrize("rows", [0, 3])
def test_without_masks_nothing_is_lost_and_nothing_moves(rows, gradients):
    random = np.random.default_rng(rows)
    start = {
        "shape": random.normal(size=(2, 4, 6, 16)).astype(np.float32),
        "saliency": random.normal(size=(2, 4, 6, 3)).astype(np.float32),
    }
    target = {
        "index": np.zeros((2, rows), np.int32),
        "channels": np.zeros((2, rows), np.int32),
        "frames": random.normal(size=(2, rows, 4)).astype(np.float32),
        "mask": np.zeros((2, rows), np.float32),
        "value": np.full((2, rows, 5, 5), 0.5, np.float32),
    }
    blank = {"value": np.zeros((2, 4, 6, 3), np.float32), "weight": np.zeros((2, 4, 6), np.float32)}

    def total(maps):
        shape, saliency = maps["shape"][0], maps["saliency"][0]
        return losses.product(shape, saliency, target) + losses.direct_saliency(saliency, blank)

    assert float(numpy_of(total({name: [ops.convert_to_tensor(one)] for name, one in start.items()}))) == 0
    assert not any(np.any(one) for one in gradients(total, start).values())


# Targets.


def golden_rows(arrays, sample_, width):
    """Rows of a golden image, each patch over the whole image, and the boxes that it belongs to."""
    height_width = arrays["masks"].shape[1:]
    matrix = affine.fit_matrix(tuple(sample_["c"]), sample_["s"], (width, width))
    if sample_["flipped"]:
        matrix = affine.chain(affine.flip_matrix(height_width[1]), matrix)
    # A patch of the whole image lies over all of its pixels, which end half a pixel beyond their middles.
    image = np.float32([[-0.5, -0.5, height_width[1] - 0.5, height_width[0] - 0.5]])
    pixels = STRIDE * affine.move(image, matrix, "boxes")
    masks = affine.move(arrays["masks"], matrix, "patches")
    return rows_of(masks, np.repeat(pixels, len(masks), axis=0), sample_["classes"], sample_["crowd"]), matrix


@pytest.mark.parametrize("number", [0, 1])
def test_masks_on_the_grid_equal_golden(number, points_golden):
    arrays, meta = points_golden("centermask-targets")
    sample_ = meta["samples"][number]
    arrays = {name.partition("/")[2]: value for name, value in arrays.items() if name.startswith(f"{number}/")}
    grid = tuple(meta["out_hw"])
    rows, matrix = golden_rows(arrays, sample_, grid[1])
    pasted = numpy_of(targets.paste(rows["masks"], rows["boxes"] / STRIDE, grid))[0]
    kept = ~rows["crowd"][0]
    # Beyond the outermost pixels golden fades to nothing within a pixel, where a patch ends.
    height_width = np.array(arrays["masks"].shape[1:])
    y, x = np.mgrid[: grid[0], : grid[1]]
    places = affine.move_points(np.stack([x, y], axis=-1).astype(float), affine.invert(matrix))
    flipped_ends = height_width[::-1] - 1
    inner = ((places >= 0) & (places <= flipped_ends)).all(axis=-1)
    np.testing.assert_allclose(pasted[kept][:, inner], arrays["before_threshold"][:, inner], atol=1e-4)
    sure = inner & (np.abs(arrays["before_threshold"] - 0.5) > 1e-3)
    np.testing.assert_array_equal((pasted[kept] >= 0.5)[sure], arrays["instance"][sure] > 0)

    channels = arrays["saliency"].shape[-1]
    found = numpy_of(targets.encode_saliency(rows, grid, channels))
    certain = inner & (np.abs(pasted - 0.5) > 1e-3).all(axis=0)
    np.testing.assert_array_equal(found["value"][0][certain], arrays["saliency"][certain])
    np.testing.assert_array_equal(found["weight"][0][certain], arrays["saliency_weight"][certain])
    assert certain.mean() > 0.6 and 0 < arrays["saliency_weight"][certain].mean() < 1


GRID = (16, 20)


def rows_of_kinds():
    """An object, one without a mask, a crowd, an ignored object and a row of none, each with a box of its own."""
    boxes = np.float32([[4, 4, 36, 28], [44, 4, 76, 28], [4, 34, 36, 60], [44, 34, 76, 60], [0, 0, 0, 0]])
    masks = np.zeros((5, 8, 8), np.float32)
    masks[[0, 2, 3], :, :4] = 1
    kinds = {
        "crowd": np.array([[False, False, True, False, False]]),
        "ignored": np.array([[False, False, False, True, False]]),
        "valid": np.array([[True, True, True, True, False]]),
    }
    return {"masks": masks[None], "boxes": boxes[None], "classes": np.int32([[1, 0, 1, -1, -1]]), **kinds}


@pytest.mark.slow
def test_only_objects_with_masks_are_trained():
    rows = rows_of_kinds()
    tasks = build_tasks({"mask": Mask(direct=True, samples=4)}, Centers(2))
    found = numpy_of(tasks.encode(rows, GRID))
    assert found["mask"]["mask"].tolist() == [[1, 0, 0, 0, 0]]
    assert found["mask"]["channels"].tolist() == [[1, 0, 1, 0, 0]]
    np.testing.assert_allclose(found["mask"]["frames"][0, 0], [1, 1, 9, 7])
    np.testing.assert_allclose(found["mask"]["value"][0, 0], [[1, 1, 0, 0]] * 4)
    for index in range(2):  # the object alone is salient, in its own class
        y, x = np.nonzero(found["saliency"]["value"][0, ..., index])
        assert (y.min(), y.max(), x.min(), x.max()) == (1, 7, 1, 5) if index else len(y) == 0
    # Unknown are the left half of the crowd and of the ignored one, and all of the box without a mask.
    y, x = np.nonzero(found["saliency"]["weight"][0] == 0)
    expected = np.zeros(GRID, bool)
    expected[9:16, 1:6] = expected[9:16, 11:16] = expected[1:8, 11:20] = True
    np.testing.assert_array_equal(found["saliency"]["weight"][0] == 0, expected)


@pytest.mark.slow
def test_all_classes_share_a_saliency_where_it_is_agnostic():
    tasks = build_tasks({"mask": Mask(saliency="agnostic", direct=True)}, Centers(2))
    found = numpy_of(tasks.encode(rows_of_kinds(), GRID))
    assert not found["mask"]["channels"].any() and found["saliency"]["value"].shape == (1, *GRID, 1)
    assert {head.name: head.channels for head in tasks.heads}["saliency"] == 1


@pytest.mark.slow
def test_without_objects_everything_is_background(rows):
    tasks = build_tasks({"mask": Mask(direct=True)}, Centers(3))
    found = numpy_of(tasks.encode(rows(tasks.fields, objects=0), (16, 16)))
    assert not found["mask"]["mask"].any() and not found["saliency"]["value"].any()
    assert found["saliency"]["weight"].all()


@pytest.mark.parametrize("ltrb", [False, True])
def test_a_mask_is_learned_in_the_box_that_is_found(ltrb):
    """A size is that of what the image shows, edges are those of all of the object."""
    rows = rows_of(np.tile(np.float32([1, 0]), (1, 8, 4)), np.float32([[-32, 8, 32, 40]]), [0], [False])
    tasks = build_tasks({"mask": Mask(samples=8)}, Centers(1, ltrb=ltrb))
    target = numpy_of(tasks.encode(rows, GRID))["mask"]
    np.testing.assert_allclose(target["frames"][0, 0], [-8, 2, 8, 10] if ltrb else [0, 2, 8, 10])
    # Of 16 columns in all of the box, of which every other is covered, 8 places show every other, or 8 of the right
    # half all.
    places = np.arange(8) + 0.5 if ltrb else 4 + (np.arange(8) + 0.5) / 2
    wanted = np.interp(places, np.arange(8) + 0.5, np.tile([1, 0], 4))
    np.testing.assert_allclose(target["value"][0, 0], np.tile(wanted, (8, 1)), atol=1e-5)


def slow_value(mask, box, frame, samples):
    """A mask over its box at equal steps over another, point by point."""
    found = np.zeros((samples, samples))
    for row, column in np.ndindex(found.shape):
        x = frame[0] + (column + 0.5) / samples * (frame[2] - frame[0])
        y = frame[1] + (row + 0.5) / samples * (frame[3] - frame[1])
        if not (box[0] <= x <= box[2] and box[1] <= y <= box[3]):
            continue
        u = np.clip((x - box[0]) / (box[2] - box[0]) * len(mask) - 0.5, 0, len(mask) - 1)
        v = np.clip((y - box[1]) / (box[3] - box[1]) * len(mask) - 0.5, 0, len(mask) - 1)
        across = [np.interp(u, np.arange(len(mask)), line) for line in mask]
        found[row, column] = np.interp(v, np.arange(len(mask)), across)
    return found


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_targets_equal_the_slow_ones(seed):
    random = np.random.default_rng(seed)
    corners = random.uniform(-20, 60, (4, 2))
    boxes = np.concatenate([corners, corners + random.uniform(4, 60, (4, 2))], axis=1).astype(np.float32)
    rows = rows_of(random.integers(0, 2, (4, 6, 6)), boxes, [0] * 4, [False] * 4)
    located = Centers(1).locate(rows, GRID)
    target = numpy_of(targets.encode(rows, located, samples=5, edges=False, classes=False))
    for number in np.flatnonzero(target["mask"][0]):
        frame = np.clip(boxes[number] / STRIDE, 0, np.tile(np.array(GRID[::-1]) - 1, 2))
        np.testing.assert_allclose(target["frames"][0, number], frame, atol=1e-4)
        wanted = slow_value(rows["masks"][0, number], boxes[number] / STRIDE, target["frames"][0, number], 5)
        np.testing.assert_allclose(target["value"][0, number], wanted, atol=2e-3)
