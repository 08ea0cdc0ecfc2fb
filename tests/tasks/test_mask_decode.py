"""Masks found in maps equal the golden values; drawn shapes come back; mirrors, tiles and other boxes."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.geometry import affine, patches
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.mask import Mask, decode, targets
from centernet_tf.tasks.mask.mirror import MirrorShape
from centernet_tf.tasks.mask.sampling import sample


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def overlap(first, second):
    """IoU of two bool arrays."""
    return (first & second).sum() / max((first | second).sum(), 1)


def golden_maps(arrays):
    named = {"heatmap": "heat", "offset": "offset", "size": "size", "shape": "shape", "saliency": "saliency"}
    maps = {ours: arrays[f"map/{theirs}"][None].copy() for ours, theirs in named.items()}
    maps["size"] = maps["size"][..., ::-1].copy()  # height first there
    return {name: ops.convert_to_tensor(one) for name, one in maps.items()}


@pytest.mark.slow
def test_masks_equal_golden_at_its_pixels(points_golden):
    arrays, meta = points_golden("centermask-decode")
    maps, centers = golden_maps(arrays), Centers(3, meta["K"])
    peaks = centers.peaks(maps)
    found = numpy_of(centers.decode(maps, peaks))
    np.testing.assert_allclose(found["scores"][0], arrays["score"], rtol=1e-5)
    np.testing.assert_array_equal(found["classes"][0], arrays["cls"])
    np.testing.assert_allclose(found["boxes"][0], arrays["box"], atol=1e-4)
    height, width, _ = arrays["map/heat"].shape
    for number, (left, top, wide, high) in enumerate(arrays["rect_x0_y0_w_h"]):
        # The pixels of a rectangle are equal steps over what is half a pixel larger than their middles.
        frame = np.float32([left, top, left + wide, top + high]) - 0.5
        frames = np.tile(frame, (1, meta["K"], 1))
        masks = numpy_of(decode.decode(maps, peaks, frames, (int(high), int(wide)))["masks"])[0, number]
        # What lies beyond the grid golden has no place for.
        first, last = np.maximum([top, left], 0), np.minimum([top + high, left + wide], [height, width])
        inside = tuple(slice(one - side, end - side) for one, end, side in zip(first, last, (top, left)))
        wanted = arrays["prob"][number, first[0] : last[0], first[1] : last[1]]
        np.testing.assert_allclose(masks[inside], wanted, atol=1e-5)


def rectangle(center, sides):
    """Left, top, width and height in whole cells: golden rounds halves up, and keeps one cell at least."""
    whole = np.maximum(np.floor(np.asarray(sides) + 0.5), 1)
    return (*np.floor(np.asarray(center) - whole / 2 + 0.5).astype(int), *whole.astype(int))


def interpolated(values, y, x):
    """Values [h, w] at real positions, 0 beyond."""
    low_y, low_x = np.floor(y).astype(int), np.floor(x).astype(int)
    total = np.zeros(np.broadcast(y, x).shape)
    for down in (0, 1):
        for across in (0, 1):
            row, column = low_y + down, low_x + across
            inside = (row >= 0) & (row < values.shape[0]) & (column >= 0) & (column < values.shape[1])
            share = (1 - np.abs(y - row)) * (1 - np.abs(x - column))
            clipped = values[row.clip(0, values.shape[0] - 1), column.clip(0, values.shape[1] - 1)]
            total += np.where(inside, share * clipped, 0)
    return total


def slow_mask(vector, saliency, box):
    """One object's mask on the output grid, cell by cell: golden's definition.

    Args:
        vector: [S S] logits.
        saliency: [h, w] logits.
        box: Left, top, right, bottom in cells.
    """
    shape = np.asarray(vector, float).reshape(round(len(vector) ** 0.5), -1)
    left, top, wide, high = rectangle((box[:2] + box[2:]) / 2, box[2:] - box[:2])
    mask = np.zeros(saliency.shape)
    for row in range(max(top, 0), min(top + high, saliency.shape[0])):
        for column in range(max(left, 0), min(left + wide, saliency.shape[1])):
            y, x = (
                (place + 0.5) / side * len(shape) - 0.5 for place, side in ((row - top, high), (column - left, wide))
            )
            logit = interpolated(shape, *np.clip([[y], [x]], 0, len(shape) - 1))[0]
            mask[row, column] = 1 / (1 + np.exp(-logit)) / (1 + np.exp(-float(saliency[row, column])))
    return mask


def in_image(mask, matrix, size):
    """A mask on the grid [h, w] at the pixels of an image: [H, W], through the matrix [2, 3] from pixels to cells."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    places = affine.move_points(np.stack([x, y], axis=-1), matrix)
    return interpolated(mask, places[..., 1], places[..., 0])


def test_the_slow_mask_equals_golden(points_golden):
    arrays, meta = points_golden("centermask-decode")
    height, width, _ = arrays["map/heat"].shape
    matrix = affine.fit_matrix(tuple(meta["c"]), meta["s"], (height, width))
    packed = np.unpackbits(arrays["image_mask"], axis=-1)[..., : meta["image_hw"][1]]
    for number, (x, y) in enumerate(arrays["centre_xy"]):
        box, saliency = arrays["box"][number], arrays["map/saliency"][..., arrays["cls"][number]]
        assert rectangle((box[:2] + box[2:]) / 2, box[2:] - box[:2]) == tuple(arrays["rect_x0_y0_w_h"][number])
        mask = slow_mask(arrays["map/shape"][y, x], saliency, box)
        np.testing.assert_allclose(mask, arrays["prob"][number], atol=1e-5)
        found = in_image(mask, matrix, meta["image_hw"])
        np.testing.assert_allclose(found, arrays["image_prob"][number], atol=1e-5)
        different = (found > meta["threshold"]) != packed[number]
        assert different.sum() <= meta["pixels_within_1e_4_of_threshold"][number]


def blob(y, x, random):
    """Logits of a turned ellipse that fills most of -1..1, at places of it."""
    angle, sides = random.uniform(0, np.pi), random.uniform(0.5, 0.95, 2)
    turned = (x * np.cos(angle) + y * np.sin(angle)) / sides[0], (y * np.cos(angle) - x * np.sin(angle)) / sides[1]
    return 8 * (1 - np.hypot(*turned))


@pytest.mark.parametrize("detail", [28, 56])
def test_masks_agree_with_the_slow_ones_in_the_image(detail):
    """The slow ones lie in boxes of whole cells; those of the graph in the boxes as they are.

    Golden's rectangles begin at the cell nearest to the box's edge. Such a cell reaches half a cell beyond, so they lie
    half a cell further left and up than what the loss compares; the graph keeps to the loss.
    """
    random, grid, scale = np.random.default_rng(0), (32, 40), 4
    y, x = np.mgrid[: grid[0], : grid[1]]
    steps = (np.arange(16) + 0.5) / 8 - 1
    corners = random.uniform(0, 16, (12, 2))
    boxes = np.concatenate([corners, corners + random.uniform(8, 16, (12, 2))], axis=1).astype(np.float32)
    shape, saliency, slow = np.zeros((1, *grid, 256), np.float32), np.zeros((1, *grid, 12), np.float32), []
    for number, box in enumerate(boxes.astype(float)):
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        shape[0, 0, number] = blob(steps[:, None], steps[None], random).reshape(-1)
        saliency[0, ..., number] = 4 + blob((y - middle[1]) / half[1], (x - middle[0]) / half[0], random)
        slow.append(slow_mask(shape[0, 0, number], saliency[0, ..., number], box + 0.5))
    peaks = {"index": np.arange(12, dtype=np.int32)[None], "classes": np.arange(12, dtype=np.int32)[None]}
    maps = {"shape": ops.convert_to_tensor(shape), "saliency": ops.convert_to_tensor(saliency)}
    found = numpy_of(decode.decode(maps, peaks, boxes[None], (detail, detail))["masks"])[0]
    lines, columns = (np.arange(side * scale, dtype=np.float32) for side in grid)
    masks = patches.paste(found, boxes * scale, columns, lines) > 0.4
    matrix = np.float64([[1 / scale, 0, 0], [0, 1 / scale, 0]])
    wanted = [in_image(one, matrix, (grid[0] * scale, grid[1] * scale)) > 0.4 for one in slow]
    same = [overlap(one, other) for one, other in zip(masks, wanted)]
    assert min(same) > 0.85 and np.median(same) > 0.92, same


def drawn(random, height, width):
    """A mask [height, width] with a smooth outline: a circle whose radius waves."""
    y, x = np.mgrid[:height, :width]
    middle = np.array([height, width]) / 2 + random.uniform(-0.08, 0.08, 2) * [height, width]
    angle = np.arctan2((y - middle[0]) / height, (x - middle[1]) / width)
    radius = np.hypot((y - middle[0]) / height, (x - middle[1]) / width)
    waves = sum(random.uniform(0, 0.06) * np.cos(count * angle + random.uniform(0, 6)) for count in (2, 3, 4))
    return radius < random.uniform(0.2, 0.38) + waves


@pytest.mark.slow
@given(st.integers(0, 2**31), st.floats(0.5, 2.0), st.booleans())
@settings(deadline=None, max_examples=10)
def test_drawn_shapes_come_back(seed, scale, mirrored):
    """Perfect maps of S = 32 give the mask back at the pixels, under crops, scales and mirrors of the image."""
    random, size, input_size = np.random.default_rng(seed), (160, 200), (128, 128)
    whole = drawn(random, *size)
    y, x = np.nonzero(whole)
    box = np.float32([[x.min(), y.min(), x.max() + 1, y.max() + 1]])
    patch = patches.paste(
        whole.astype(np.float32)[None],
        np.float32([[-0.5, -0.5, size[1] - 0.5, size[0] - 0.5]]),
        patches.places(box[:, 0], box[:, 2], 64),
        patches.places(box[:, 1], box[:, 3], 64),
    )
    patch = (patch >= 0.5).astype(np.float32)
    middle = (box[0, :2] + box[0, 2:]) / 2 + random.uniform(-40, 40, 2)
    matrix = affine.fit_matrix(tuple(middle), 200 * scale, input_size)
    if mirrored:
        matrix = affine.chain(affine.flip_matrix(size[1]), matrix)
    rows = {
        "masks": affine.move(patch, matrix, "patches")[None],
        "boxes": affine.move(box, matrix, "boxes")[None],
        "classes": np.zeros((1, 1), np.int32),
        "crowd": np.zeros((1, 1), bool),
        "valid": np.ones((1, 1), bool),
    }
    grid = tuple(side // STRIDE for side in input_size)
    target = numpy_of(targets.encode(rows, Centers(1).locate(rows, grid), samples=32, edges=False, classes=False))
    if not target["mask"].any() or (target["frames"][0, 0, 2:] - target["frames"][0, 0, :2]).min() < 4:
        return  # next to nothing of it is left in the crop
    shape = (20 * target["value"][0, 0].reshape(-1) - 10)[None, None, None]
    maps = {
        "shape": ops.convert_to_tensor(shape),
        "saliency": ops.convert_to_tensor(np.full((1, *grid, 1), 10.0, "f4")),
    }
    peaks = {"index": np.zeros((1, 1), np.int32), "classes": np.zeros((1, 1), np.int32)}
    found = numpy_of(decode.decode(maps, peaks, target["frames"], (56, 56))["masks"])[0]
    back = affine.move(STRIDE * target["frames"][0], affine.invert(matrix), "boxes")
    found = affine.move(found, affine.invert(matrix), "patches")
    lines, columns = (np.arange(side, dtype=np.float32) for side in size)
    pasted = patches.paste(found, back.astype(np.float32), columns, lines)[0] > 0.4
    # What the crop does not show nobody can know.
    y, x = np.mgrid[: size[0], : size[1]]
    shown = (x >= back[0, 0]) & (x <= back[0, 2]) & (y >= back[0, 1]) & (y <= back[0, 3])
    assert overlap(pasted, whole & shown) > 0.9


def test_a_mask_ends_where_its_box_does():
    shape = np.full((1, 8, 8, 16), 10.0, np.float32)
    maps = {"shape": ops.convert_to_tensor(shape), "saliency": 10 * ops.ones((1, 8, 8, 1))}
    peaks = {"index": np.zeros((1, 1), np.int32), "classes": np.zeros((1, 1), np.int32)}
    box = np.float32([[[1.5, 2, 4, 6]]])
    found = numpy_of(decode.decode(maps, peaks, box, (12, 12))["masks"])[0]
    steps = np.arange(8, dtype=np.float32)
    inside = patches.paste(found, box[0], steps, steps)[0] > 0.4
    y, x = np.nonzero(inside)
    assert (x.min(), x.max(), y.min(), y.max()) == (2, 4, 2, 6)


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_sampled_as_point_by_point(channels):
    random = np.random.default_rng(channels)
    values = random.normal(size=(2, 9, 7, channels)).astype(np.float32)
    corners = random.uniform(-4, 6, (2, 5, 2))
    frames = np.concatenate([corners, corners + random.uniform(0, 6, (2, 5, 2))], axis=-1).astype(np.float32)
    kinds = random.integers(0, channels, (2, 5), np.int32)
    found = numpy_of(sample(ops.convert_to_tensor(values), kinds, frames, (4, 6)))
    assert found.shape == (2, 5, 4, 6)
    for image, number, row, column in np.ndindex(found.shape):
        left, top, right, bottom = frames[image, number]
        x = np.clip(left + (column + 0.5) / 6 * (right - left), 0, 6)
        y = np.clip(top + (row + 0.5) / 4 * (bottom - top), 0, 8)
        wanted = interpolated(values[image, ..., kinds[image, number]], np.float64(y), np.float64(x))
        assert found[image, number, row, column] == pytest.approx(wanted, abs=1e-4)


def test_no_box_and_boxes_that_are_no_numbers():
    values = ops.ones((1, 4, 4, 1))
    assert sample(values, np.zeros((1, 0), np.int32), np.zeros((1, 0, 4), np.float32), (3, 3)).shape == (1, 0, 3, 3)
    broken = np.full((1, 2, 4), np.nan, np.float32)
    assert np.isnan(numpy_of(sample(values, np.zeros((1, 2), np.int32), broken, (3, 3)))).all()
    point = np.tile(np.float32([2, 2, 2, 2]), (1, 1, 1))
    assert numpy_of(sample(values, np.zeros((1, 1), np.int32), point, (3, 3))).tolist() == [[[[1.0] * 3] * 3]]


@pytest.mark.slow
def test_the_flip_test_of_what_is_symmetric_changes_nothing():
    """A network that sees the mirror image as the mirror image, with the columns of its shapes the other way round."""
    random = np.random.default_rng(0)
    heads = build_tasks({"mask": Mask(side=8)}, Centers(2)).heads
    (shape,) = (head for head in heads if head.name == "shape")
    (saliency,) = (head for head in heads if head.name == "saliency")
    features = random.normal(size=(1, 6, 10, 8)).astype(np.float32)
    kernel = random.normal(size=(8, 64)).astype(np.float32)
    map_ = random.normal(size=(1, 6, 10, 2)).astype(np.float32)
    # What of the other side makes the same shapes, mirrored: another kernel that reads further features.
    nothing = np.zeros_like(features)
    first, second = (features, nothing), (nothing, features[:, :, ::-1])
    both = np.concatenate([np.concatenate(sides, axis=-1) for sides in (first, second)])
    mirrored = kernel.reshape(8, 8, 8)[:, :, ::-1].reshape(8, 64)
    outputs = {
        "shape": {"features": both, "kernel": np.concatenate([kernel, mirrored]), "bias": np.zeros(64, np.float32)},
        "saliency": np.concatenate([map_, map_[:, :, ::-1]]),
    }
    outputs = keras.tree.map_structure(lambda one: ops.convert_to_tensor(np.float32(one)), outputs)
    joined = flip.join_sides(outputs, [shape, saliency])
    alone = {
        "shape": {"features": features, "kernel": kernel, "bias": np.zeros(64, np.float32)},
        "saliency": map_,
    }
    alone = keras.tree.map_structure(lambda one: ops.convert_to_tensor(np.float32(one)), alone)
    peaks = {"index": np.int32([[7, 33]]), "classes": np.int32([[1, 0]])}
    boxes = np.float32([[[1, 1, 6, 5], [0, 2, 9, 5]]])
    found, expected = (numpy_of(decode.decode(one, peaks, boxes, (16, 16))["masks"]) for one in (joined, alone))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mirrored_shapes_have_their_columns_reversed():
    values = np.arange(2 * 9, dtype=np.float32).reshape(2, 9)
    found = numpy_of(MirrorShape(3)(ops.convert_to_tensor(values)))
    np.testing.assert_array_equal(found.reshape(2, 3, 3), values.reshape(2, 3, 3)[..., ::-1])
