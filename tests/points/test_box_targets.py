import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import STRIDE, Centers

GRIDS = [(16, 11), (30, 32)]


@pytest.fixture(scope="module")
def encode(as_one):
    """A function (rows, grid, centers) -> targets as arrays."""

    def run(rows, grid, centers: Centers):
        rows = {name: ops.convert_to_tensor(values) for name, values in rows.items()}
        targets = as_one(lambda rows: centers.encode(rows, centers.locate(rows, grid)))(rows)
        return keras.tree.map_structure(ops.convert_to_numpy, targets)

    return run


def random_rows(grid, images=12, objects=9):
    """Objects of all sizes, some over the border, without area, of no box, or padding."""
    random = np.random.default_rng(sum(grid))
    limit = np.array(grid[::-1]) * STRIDE
    center = random.uniform(-0.1, 1.1, (images, objects, 2)) * limit
    size = np.exp(random.uniform(0, np.log(limit.max()), center.shape)) * (random.random((images, objects, 1)) < 0.9)
    valid = random.random((images, objects)) < 0.8
    return {
        "boxes": np.concatenate([center - size / 2, center + size / 2], axis=-1).astype(np.float32),
        "classes": np.where(valid, random.integers(0, 3, valid.shape), -1).astype(np.int32),
        "crowd": np.zeros(valid.shape, bool),
        "valid": valid,
        "boxed": random.random(valid.shape) < 0.9,
    }


def slow_objects(rows, image, grid, ltrb):
    """[(area in pixels, part of the box on the grid, centre, edges)] of the boxes that are learned, in their order."""
    limit = np.float32([grid[1] - 1, grid[0] - 1] * 2)
    found = []
    for row in np.flatnonzero(rows["valid"][image] & rows["boxed"][image]):
        whole = rows["boxes"][image, row] / np.float32(STRIDE)
        inside = np.clip(whole, 0, limit)
        if (inside[2:] > inside[:2]).all():
            center, box = (inside[:2] + inside[2:]) / 2, whole if ltrb else inside
            edges = np.concatenate([center - box[:2], box[2:] - center])
            found.append((np.prod(box[2:] - box[:2]) * STRIDE**2, inside, center, edges))
    return found


def slow_areas(rows, grid, part, ltrb):
    """TTFNet's targets, painted from the largest box to the smallest, and then each in the cell of its centre."""
    images = len(rows["valid"])
    mask, shift, edges = np.zeros((images, *grid, 1)), np.zeros((images, *grid, 2)), np.zeros((images, *grid, 4))

    def paint(image, y, x, one, value):
        mask[image, y, x] = value * max(np.log(one[0]), 1.0)
        shift[image, y, x], edges[image, y, x] = one[2] - [x, y], one[3]

    for image in range(images):
        objects = sorted(slow_objects(rows, image, grid, ltrb), key=lambda one: -one[0])
        drawn = [gaussian_of(one, grid, part) for one in objects]
        for one, plane in zip(objects, drawn):
            for y, x in np.argwhere(plane > 0):
                paint(image, y, x, one, plane[y, x] / plane.sum())
        for one, plane in zip(objects, drawn):
            paint(image, *one[2][::-1].astype(int), one, plane.max() / plane.sum())
    return {
        name: values.reshape(images, -1, values.shape[-1])
        for name, values in (("mask", mask), ("shift", shift), ("edges", edges))
    }


def gaussian_of(one, grid, part):
    x, y = one[2].astype(int)
    radius = [int(side / 2 * part) for side in one[1][2:] - one[1][:2]]
    plane = np.zeros(grid)
    for row in range(max(0, y - radius[1]), min(grid[0], y + radius[1] + 1)):
        for column in range(max(0, x - radius[0]), min(grid[1], x + radius[0] + 1)):
            deviation = [(2 * one + 1) / 6 for one in radius]
            plane[row, column] = np.exp(
                -((column - x) ** 2) / (2 * deviation[0] ** 2) - (row - y) ** 2 / (2 * deviation[1] ** 2)
            )
    return plane


@pytest.mark.parametrize("ltrb", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
def test_areas_equal_the_slow_twin(grid, ltrb, encode):
    rows, part = random_rows(grid), 0.54
    expected = slow_areas(rows, grid, part, ltrb)
    learned = expected["mask"] > 0
    assert 2 * rows["valid"].sum() < learned.sum() < 0.7 * learned.size
    targets = encode(rows, grid, Centers(3, ltrb=ltrb, area=part, box="giou", iou_aware=0.5))
    for name in ("size", "iou"):
        assert "index" not in targets[name]
        np.testing.assert_allclose(targets[name]["mask"], expected["mask"], rtol=1e-4)
        np.testing.assert_allclose(targets[name]["shift"] * learned, expected["shift"], atol=1e-4)
        np.testing.assert_allclose(targets[name]["edges"] * learned, expected["edges"], atol=1e-4)
        assert (targets[name]["edges"] > 0).all() and np.isfinite(targets[name]["shift"]).all()
    numbers = encode(rows, grid, Centers(3, ltrb=ltrb, area=part))
    wanted = expected["edges"] if ltrb else expected["edges"][..., :2] + expected["edges"][..., 2:]
    for name, value in (("offset", expected["shift"]), ("size", wanted)):
        assert set(numbers[name]) == {"mask", "value"}
        np.testing.assert_allclose(numbers[name]["mask"], expected["mask"], rtol=1e-4)
        np.testing.assert_allclose(numbers[name]["value"] * learned, value, atol=1e-4)


@pytest.mark.parametrize("area", [0.0, 0.54])
def test_the_offset_is_learned_at_centers_where_boxes_teach_it_too(area, encode):
    rows = random_rows((8, 8))
    plain, boxes = (
        encode(rows, (8, 8), Centers(3, box=box, area=area * (box != "sides"))) for box in ("sides", "ciou")
    )
    for name, value in plain["offset"].items():
        np.testing.assert_array_equal(boxes["offset"][name], value)
    assert ("index" in boxes["size"]) == (area == 0)


def test_rows_are_counted_where_numbers_of_objects_are(encode):
    rows = random_rows((8, 8))
    counted = encode(rows, (8, 8), Centers(3, every_row=True, box="giou"))
    assert counted["offset"]["rows"] == 100 and "rows" not in counted["size"]
    spread = encode(rows, (8, 8), Centers(3, every_row=True, area=0.54))
    assert not any("rows" in spread[name] for name in ("offset", "size"))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the JAX backend compiles each length anew")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ltrb": True, "ellipse": 0.54},
        {"area": 0.54},
        {"area": 0.54, "ltrb": True, "box": "giou", "iou_aware": 0.5, "ellipse": 0.54},
        {"class_specific_size": True},
    ],
    ids=str,
)
def test_batches_of_any_length_share_one_graph(options, encode):
    """As in training: neither the number of images nor that of rows is known when the step is compiled."""
    import tensorflow as tf

    centers, grid = Centers(3, **options), (8, 8)
    rows = random_rows(grid)
    signature = {name: tf.TensorSpec([None, None, *one.shape[2:]], one.dtype) for name, one in rows.items()}
    step = tf.function(lambda rows: centers.encode(rows, centers.locate(rows, grid)), input_signature=[signature])
    for length in (9, 4):
        some = {name: one[:, :length] for name, one in rows.items()}
        keras.tree.map_structure(np.testing.assert_array_equal, step(some), encode(some, grid, centers))


def test_a_large_box_keeps_the_cell_of_its_center(encode):
    boxes = np.float32([[[0, 0, 20, 20], [9, 9, 13, 13], [2, 2, 6, 6]]]) * STRIDE
    rows = {"boxes": boxes, "classes": np.zeros((1, 3), np.int32), "crowd": np.zeros((1, 3), bool)}
    rows["valid"] = np.array([[True, True, False]])
    size = encode(rows, (24, 24), Centers(1, area=0.54))["size"]
    wide = size["value"][0, :, 0].reshape(24, 24) * (size["mask"][0, :, 0].reshape(24, 24) > 0)
    assert wide[10, 10] == 20 and wide[11, 11] == wide[12, 12] == 4 and wide[13, 13] == 20 and wide[4, 4] == 0


@pytest.mark.parametrize("grid", GRIDS)
def test_ellipses_equal_the_slow_twin(grid, encode):
    rows = random_rows(grid)
    rows["boxed"][:] = True
    heatmap = encode(rows, grid, Centers(3, ellipse=0.54))["heatmap"]["heatmap"]
    expected = np.zeros(heatmap.shape)
    for image in range(len(heatmap)):
        labels = iter(rows["classes"][image, kept(rows, image, grid)])
        for one, label in zip(slow_objects(rows, image, grid, ltrb=False), labels, strict=True):
            plane = expected[image, ..., label]
            np.maximum(plane, gaussian_of(one, grid, 0.54), out=plane)
    np.testing.assert_allclose(heatmap, expected, atol=1e-5)
    np.testing.assert_array_equal(heatmap == 1, expected == 1)


def kept(rows, image, grid):
    """[N] bool: objects with an area on the grid."""
    limit = np.float32([grid[1] - 1, grid[0] - 1] * 2)
    inside = np.clip(rows["boxes"][image] / np.float32(STRIDE), 0, limit)
    return rows["valid"][image] & (inside[:, 2:] > inside[:, :2]).all(axis=-1)
