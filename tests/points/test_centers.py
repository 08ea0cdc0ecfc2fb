import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf import losses
from centernet_tf.errors import UsageError
from centernet_tf.points.centers import STRIDE, Centers

GRIDS = [(8, 8), (16, 11), (5, 24), (30, 32)]


def random_rows(grid, images, objects, classes, seed) -> dict[str, np.ndarray]:
    """Objects of every awkward kind: tiny, over the border, outside, without area, two on one centre, padding."""
    random = np.random.default_rng(seed)
    limit = np.array([grid[1], grid[0]], np.float32) * STRIDE
    shape = (images, objects, 2)
    center = random.uniform(-0.1, 1.1, shape) * limit
    size = np.exp(random.uniform(np.log(0.5), np.log(limit.max()), shape))
    kind = random.integers(0, 8, (images, objects, 1))
    size = np.where(kind == 0, random.uniform(0.1, 4, shape), size)
    size = np.where(kind == 1, 0, size)
    center = np.where(kind == 2, center.round(), center)
    size = np.where(kind == 2, 2 * STRIDE * random.integers(1, 4, shape), size)
    center[:, 1::5] = center[:, 0:-1:5][:, : center[:, 1::5].shape[1]]
    valid = np.arange(objects) < random.integers(0, objects + 1, (images, 1))
    return {
        "boxes": np.concatenate([center - size / 2, center + size / 2], axis=-1).astype(np.float32),
        "classes": np.where(valid, random.integers(0, classes, valid.shape), -1).astype(np.int32),
        "crowd": random.random(valid.shape) < 0.2,
        "valid": valid,
    }


def with_ignored(rows, seed):
    """The same objects, a third of them ignored, for their class or for all."""
    random = np.random.default_rng(seed)
    ignored = rows["valid"] & (random.random(rows["valid"].shape) < 0.35)
    every = ignored & (random.random(ignored.shape) < 0.3)
    return {**rows, "ignored": ignored, "classes": np.where(every, -1, rows["classes"]).astype(np.int32)}


def slow_radius(height, width, corrected):
    total, area, found = height + width, height * width, []
    for case, (a, b, c) in enumerate(
        [(1, total, area * 0.3 / 1.7), (4, 2 * total, 0.3 * area), (2.8, -1.4 * total, -0.3 * area)]
    ):
        root = max(b * b - 4 * a * c, 0.0) ** 0.5
        sign = 1 if not corrected or case == 2 else -1
        found.append((b + sign * root) / (2 * a if corrected else 2))
    return int(min(found))


def draw_slowly(plane, x, y, radius):
    """Draws into [h, w] cell by cell, keeping what is larger."""
    sigma = (2 * radius + 1) / 6
    for row in range(max(0, y - radius), min(plane.shape[0], y + radius + 1)):
        for column in range(max(0, x - radius), min(plane.shape[1], x + radius + 1)):
            value = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma * sigma))
            plane[row, column] = max(plane[row, column], value)


def slow_targets(rows, grid, centers: Centers) -> dict[str, np.ndarray]:
    """Objects one by one, as sections 3 and 4 of the paper and the official sampler say."""
    (height, width), classes = grid, centers.num_classes
    images, objects = rows["valid"].shape
    depth = 2 * classes if centers.class_specific_size else 2
    targets = {
        "heatmap": np.zeros((images, height, width, classes)),
        "ignore": np.zeros((images, height, width, classes)),
        "index": np.zeros((images, objects), int),
        "offset mask": np.zeros((images, objects, 1)),
        "offset": np.zeros((images, objects, 2)),
        "size mask": np.zeros((images, objects, depth)),
        "size": np.zeros((images, objects, depth)),
    }
    for image, number in zip(*np.nonzero(rows["valid"])):
        label = rows["classes"][image, number]
        left, top, right, bottom = rows["boxes"][image, number] / np.float32(STRIDE)
        left, right = (np.float32(min(max(value, 0), width - 1)) for value in (left, right))
        top, bottom = (np.float32(min(max(value, 0), height - 1)) for value in (top, bottom))
        if right - left <= 0 or bottom - top <= 0:
            continue
        if centers.ignore_crowd and rows["crowd"][image, number]:
            targets["ignore"][image, int(top) : int(bottom) + 1, int(left) : int(right) + 1, label] = 1
            continue
        center = np.array([(left + right) / 2, (top + bottom) / 2], np.float32)
        x, y = int(center[0]), int(center[1])
        sides = (float(bottom - top), float(right - left))
        sides = np.ceil(sides) if centers.whole_sides else sides
        radius = slow_radius(*sides, centers.corrected_radius)
        if "ignored" in rows and rows["ignored"][image, number]:
            for channel in range(classes) if label < 0 else [label]:
                plane = targets["heatmap"][image, :, :, channel]
                if centers.ignored_area:
                    plane[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = 0.9999
                else:
                    draw_slowly(plane, x, y, radius)
                    plane[y, x] = 0.9999
            continue
        draw_slowly(targets["heatmap"][image, :, :, label], x, y, radius)
        first = 2 * label if centers.class_specific_size else 0
        targets["index"][image, number] = y * width + x
        targets["offset mask"][image, number] = 1
        targets["offset"][image, number] = center - [x, y]
        targets["size mask"][image, number, first : first + 2] = 1
        targets["size"][image, number, first : first + 2] = right - left, bottom - top
    return targets


@pytest.fixture(scope="module")
def encode(as_one):
    """A function (rows, grid, centers) -> targets as arrays; each is compiled once."""
    made = {}

    def run(rows, grid, centers: Centers):
        rows = {name: ops.convert_to_tensor(values) for name, values in rows.items()}
        encoder = as_one(lambda rows: centers.encode(rows, centers.locate(rows, grid)))
        encoder = made.setdefault((grid, str(centers)), encoder)
        return keras.tree.map_structure(ops.convert_to_numpy, encoder(rows))

    return run


@pytest.fixture(scope="module")
def decode(as_one):
    """A function (maps, centers) -> what is found, as arrays; each is compiled once."""
    made = {}

    def run(outputs, centers: Centers):
        outputs = {name: ops.convert_to_tensor(np.float32(values)) for name, values in outputs.items()}
        decoder = as_one(lambda outputs: centers.decode(outputs, centers.peaks(outputs)))
        decoder = made.setdefault(str(centers), decoder)
        return {name: ops.convert_to_numpy(values) for name, values in decoder(outputs).items()}

    return run


@pytest.mark.parametrize("class_specific", [False, True])
def test_who_is_measured_by_smooth_l1(class_specific):
    centers = Centers(2, class_specific_size=class_specific, regression="smooth_l1")
    smooth = {term.name for term in centers.terms() if term.function is losses.masked_smooth_l1}
    assert smooth == ({"offset"} if class_specific else {"offset", "size"})
    assert not any(term.function is losses.masked_smooth_l1 for term in Centers(2).terms())


def rows_of(boxes, classes=None, crowd=None) -> dict[str, np.ndarray]:
    """One image with these boxes in cells."""
    boxes = np.float32(boxes).reshape(1, -1, 4) * STRIDE
    count = boxes.shape[1]
    return {
        "boxes": boxes,
        "classes": np.zeros((1, count), np.int32) if classes is None else np.int32([classes]),
        "crowd": np.zeros((1, count), bool) if crowd is None else np.array([crowd]),
        "valid": np.ones((1, count), bool),
    }


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"class_specific_size": True}, {"corrected_radius": True}, {"ignore_crowd": True}],
    ids=["published", "class-specific", "corrected", "crowd"],
)
def test_targets_equal_the_slow_twin(grid, options, encode):
    centers = Centers(num_classes=3, **options)
    rows = random_rows(grid, images=80, objects=9, classes=3, seed=sum(grid))
    targets, expected = encode(rows, grid, centers), slow_targets(rows, grid, centers)
    assert 100 < expected["offset mask"].sum() < 80 * 9 * 0.6
    assert set(targets["heatmap"]) == ({"heatmap", "ignore"} if centers.ignore_crowd else {"heatmap"})
    np.testing.assert_allclose(targets["heatmap"]["heatmap"], expected["heatmap"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(targets["heatmap"]["heatmap"] == 1, expected["heatmap"] == 1)
    np.testing.assert_array_equal(targets["heatmap"].get("ignore", expected["ignore"]), expected["ignore"])
    for name in ("offset", "size"):
        target, mask = targets[name], expected[f"{name} mask"]
        np.testing.assert_array_equal(np.broadcast_to(target["mask"], mask.shape), mask)
        np.testing.assert_array_equal(target["index"] * mask.any(axis=-1), expected["index"])
        np.testing.assert_allclose(target["value"] * target["mask"], expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("objects", [0, 4])
def test_targets_of_no_objects(objects, encode):
    centers = Centers(num_classes=2, ignore_crowd=True)
    rows = random_rows((6, 7), images=2, objects=10, classes=2, seed=0)
    rows = {name: values[:, :objects] for name, values in rows.items()} | {"valid": np.zeros((2, objects), bool)}
    targets = encode(rows, (6, 7), centers)
    assert targets["heatmap"]["heatmap"].shape == (2, 6, 7, 2)
    assert not any(target.any() for target in (*targets["heatmap"].values(), targets["size"]["mask"]))
    maps = {"heatmap": np.ones((2, 6, 7, 2)), "offset": np.ones((2, 6, 7, 2)), "size": np.ones((2, 6, 7, 2))}
    for term in centers.terms():
        value = term.function(ops.convert_to_tensor(np.float32(maps[term.name])), targets[term.name])
        assert np.isfinite(ops.convert_to_numpy(value))


@pytest.mark.parametrize(
    "box, center, size",
    [
        ([2, 1, 6, 4], (4, 2.5), (4, 3)),
        ([2, 3, 2.5, 3.5], (2.25, 3.25), (0.5, 0.5)),
        ([-4, -4, 2, 3], (1, 1.5), (2, 3)),
        ([5, 1, 50, 3], (6, 2), (2, 2)),
        ([-9, -9, 99, 99], (3.5, 2.5), (7, 5)),
    ],
    ids=["whole", "in one cell", "over the corner", "over the edge", "over everything"],
)
def test_target_of_one_object(box, center, size, encode):
    targets = encode(rows_of([box]), (6, 8), Centers(num_classes=1))
    cell = np.floor(center)
    assert targets["offset"]["index"].tolist() == [[cell[1] * 8 + cell[0]]]
    np.testing.assert_allclose(targets["offset"]["value"], [[np.array(center) - cell]], atol=1e-6)
    np.testing.assert_allclose(targets["size"]["value"], [[size]], atol=1e-6)
    assert np.argwhere(targets["heatmap"]["heatmap"] == 1).tolist() == [[0, cell[1], cell[0], 0]]


@pytest.mark.parametrize("box", [[3, 3, 3, 5], [8, 1, 12, 3], [7, 1, 7.5, 3], [-3, -3, 0, 2], [5, 2, 4, 3]])
def test_object_without_area_inside_the_grid_is_dropped(box, encode):
    targets = encode(rows_of([box]), (6, 8), Centers(num_classes=1))
    assert not targets["heatmap"]["heatmap"].any() and not targets["offset"]["mask"].any()


def test_crowd_is_an_object_unless_ignored(encode):
    rows = rows_of([[1, 1, 5, 5]], crowd=[True])
    trained = encode(rows, (8, 8), Centers(num_classes=2))
    assert trained["heatmap"]["heatmap"].max() == 1 and trained["size"]["mask"].all()
    ignored = encode(rows, (8, 8), Centers(num_classes=2, ignore_crowd=True))
    assert not ignored["heatmap"]["heatmap"].any() and not ignored["size"]["mask"].any()
    assert np.argwhere(ignored["heatmap"]["ignore"])[[0, -1]].tolist() == [[0, 1, 1, 0], [0, 5, 5, 0]]
    assert ignored["heatmap"]["ignore"].sum() == 25


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    "options", [{}, {"ignored_area": True}, {"whole_sides": False}], ids=["centre", "area", "raw sides"]
)
def test_ignored_objects_equal_the_slow_twin(grid, options, encode):
    centers = Centers(num_classes=3, **options)
    rows = with_ignored(random_rows(grid, images=80, objects=9, classes=3, seed=sum(grid) + 1), seed=2)
    targets, expected = encode(rows, grid, centers), slow_targets(rows, grid, centers)
    np.testing.assert_allclose(targets["heatmap"]["heatmap"], expected["heatmap"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(targets["heatmap"]["heatmap"] == 1, expected["heatmap"] == 1)
    for name in ("offset", "size"):
        np.testing.assert_array_equal(targets[name]["mask"], expected["offset mask"])


def test_rotated_images_have_no_centers_and_no_boxes(encode):
    grid, centers = (8, 8), Centers(num_classes=3)
    rows = random_rows(grid, images=4, objects=6, classes=3, seed=3)
    rows["rotated"] = np.array([False, True, False, True])
    targets, plain = encode(rows, grid, centers), slow_targets(rows, grid, centers)
    heatmap = targets["heatmap"]["heatmap"]
    assert (heatmap[1::2] == np.float32(0.9999)).all()
    np.testing.assert_allclose(heatmap[::2], plain["heatmap"][::2], atol=1e-6)
    for name in ("offset", "size"):
        assert not targets[name]["mask"][1::2].any()
        np.testing.assert_array_equal(targets[name]["mask"][::2, :, 0], plain[f"{name} mask"][::2, :, 0])
    logits = ops.convert_to_tensor(np.random.default_rng(0).normal(0, 3, heatmap.shape).astype(np.float32))
    judged = {"heatmap": ops.convert_to_tensor(heatmap[1::2])}
    assert float(losses.focal(logits[1::2], judged)) < 1e-6


def test_only_wanted_boxes_are_trained(encode):
    rows = {**rows_of([[1, 1, 3, 3], [4, 4, 7, 7]]), "boxed": np.array([[True, False]])}
    targets = encode(rows, (8, 8), Centers(num_classes=2))
    assert (targets["heatmap"]["heatmap"] == 1).sum() == 2
    assert targets["offset"]["mask"][0, :, 0].tolist() == targets["size"]["mask"][0, :, 0].tolist() == [1, 0]


def perfect_outputs(targets, centers: Centers, grid):
    """Maps that score 1 at the centres and hold the targets there, and nonsense elsewhere."""
    heatmap = targets["heatmap"]["heatmap"]
    outputs = {"heatmap": np.where(heatmap == 1, 9.0, -9.0 + heatmap)}
    for name in ("offset", "size"):
        target = targets[name]
        depth = target["value"].shape[-1]
        plane = np.full((len(heatmap), grid[0] * grid[1], depth), 77.0)
        mask = np.broadcast_to(target["mask"], target["value"].shape) == 1
        for image, number in zip(*np.nonzero(mask.any(axis=-1))):
            chosen = mask[image, number]
            plane[image, target["index"][image, number], chosen] = target["value"][image, number, chosen]
        outputs[name] = plane.reshape(-1, *grid, depth)
    return outputs


def unique_cells(rows, grid):
    """Keeps the first object of every cell: two in one cell share a size and, of one class, a peak."""
    located = Centers(num_classes=1).locate(rows, grid)
    index, keep = (ops.convert_to_numpy(located[name]) for name in ("index", "keep"))
    valid = np.zeros_like(rows["valid"])
    for image, cells in enumerate(index):
        numbers = np.flatnonzero(keep[image])
        valid[image, numbers[np.unique(cells[numbers], return_index=True)[1]]] = True
    return {**rows, "valid": valid}


def clipped_boxes(rows, grid):
    limit = np.array([grid[1] - 1, grid[0] - 1] * 2)
    return (rows["boxes"] / STRIDE).clip(0, limit)


@pytest.mark.parametrize("class_specific", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
def test_decode_gives_the_encoded_objects_back(grid, class_specific, encode, decode):
    centers = Centers(num_classes=3, max_objects=20, class_specific_size=class_specific)
    rows = unique_cells(random_rows(grid, images=25, objects=9, classes=3, seed=1), grid)
    found = decode(perfect_outputs(encode(rows, grid, centers), centers, grid), centers)
    for image, valid in enumerate(rows["valid"]):
        count = valid.sum()
        assert (found["scores"][image, :count] > 0.99).all() and (found["scores"][image, count:] < 0.01).all()
        expected = np.column_stack([rows["classes"][image, valid], clipped_boxes(rows, grid)[image, valid]])
        result = np.column_stack([found["classes"][image, :count], found["boxes"][image, :count]])
        order, other = (np.lexsort(values.round(3).T) for values in (expected, result))
        np.testing.assert_allclose(result[other], expected[order], atol=1e-4)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.tuples(st.floats(-10, 40, width=32), st.floats(-10, 40, width=32)),
    st.tuples(st.floats(0.0625, 60, width=32), st.floats(0.0625, 60, width=32)),
)
def test_any_box_comes_back(encode, decode, corner, size):
    grid, centers = (8, 9), Centers(num_classes=2, max_objects=3)
    rows = rows_of([[*corner, corner[0] + size[0], corner[1] + size[1]]], classes=[1])
    rows["boxes"] /= STRIDE
    expected = clipped_boxes(rows, grid)[0, 0]
    found = decode(perfect_outputs(encode(rows, grid, centers), centers, grid), centers)
    if (expected[2:] > expected[:2]).all():
        assert found["classes"][0, 0] == 1
        np.testing.assert_allclose(found["boxes"][0, 0], expected, atol=1e-4)
    else:
        assert found["scores"].max() < 0.01


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.tuples(st.floats(-10, 40, width=32), st.floats(-10, 40, width=32)),
    st.tuples(st.floats(0.0625, 60, width=32), st.floats(0.0625, 60, width=32)),
    st.booleans(),
)
def test_distances_to_the_edges_give_the_whole_box_back(encode, decode, corner, size, whole_boxes):
    grid, centers = (8, 9), Centers(num_classes=2, max_objects=3, ltrb=True, whole_boxes=whole_boxes)
    box = np.float32([*corner, corner[0] + size[0], corner[1] + size[1]])
    rows = rows_of([box], classes=[1])
    rows["boxes"] /= STRIDE
    found = decode(perfect_outputs(encode(rows, grid, centers), centers, grid), centers)
    clipped = clipped_boxes(rows, grid)[0, 0]
    touches = (box[2:] > 0).all() and (box[:2] < STRIDE * np.array(grid[::-1])).all()
    if touches if whole_boxes else (clipped[2:] > clipped[:2]).all():
        assert found["classes"][0, 0] == 1
        np.testing.assert_allclose(found["boxes"][0, 0], box / STRIDE, atol=1e-4)
    else:
        assert found["scores"].max() < 0.01


def test_the_centre_of_a_whole_box_is_pulled_into_the_grid():
    rows = rows_of([[-30, 2, 2, 4], [3, 5, 6, 30], [40, 0, 50, 4]])
    located = Centers(1, whole_boxes=True).locate(rows, (8, 9))
    found = {name: ops.convert_to_numpy(located[name])[0] for name in ("center", "size", "keep")}
    np.testing.assert_allclose(found["center"][:2], [[0, 3], [4.5, 7]])
    np.testing.assert_allclose(found["size"][:2], [[32, 2], [3, 25]])
    assert found["keep"].tolist() == [True, True, False]


def test_a_mirror_swaps_left_and_right_edges():
    (head,) = (head for head in Centers(1, ltrb=True).heads() if head.name == "size")
    assert ops.convert_to_numpy(head.mirror(np.float32([[[[1, 2, 3, 4]]]]))).ravel().tolist() == [3, 2, 1, 4]


def test_two_kinds_of_size_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        Centers(2, class_specific_size=True, ltrb=True).check()


def test_more_objects_than_detections(encode, decode):
    """Rows beyond max_objects are trained on; of the peaks the best are returned."""
    left, top = np.meshgrid(np.arange(0, 24, 3.0), np.arange(0, 24, 3.0))
    boxes = np.stack([left, top, left + 1, top + 1], axis=-1).reshape(-1, 4)
    centers = Centers(num_classes=1, max_objects=10)
    targets = encode(rows_of(boxes), (24, 24), centers)
    assert (targets["heatmap"]["heatmap"] == 1).sum() == targets["size"]["mask"].sum() == 64
    found = decode(perfect_outputs(targets, centers, (24, 24)), centers)
    assert found["boxes"].shape == (1, 10, 4) and (found["scores"] > 0.99).all()


@pytest.mark.parametrize("class_specific, depth", [(False, 2), (True, 10)])
def test_heads_and_terms(class_specific, depth, encode):
    centers = Centers(num_classes=5, class_specific_size=class_specific)
    heads = {head.name: head for head in centers.heads()}
    assert {name: head.channels for name, head in heads.items()} == {"heatmap": 5, "offset": 2, "size": depth}
    assert heads["heatmap"].bias == pytest.approx(np.log(0.1 / 0.9), abs=0.01) and heads["size"].bias == 0
    assert {term.name: term.weight for term in centers.terms()} == {"heatmap": 1, "offset": 1, "size": 0.1}
    targets = encode(random_rows((6, 7), 2, 4, 5, seed=0), (6, 7), centers)
    assert set(targets) == {term.name for term in centers.terms()}
    assert {name for term in centers.terms() for name in term.reads} == set(heads)


@pytest.mark.parametrize("class_specific", [False, True])
def test_perfect_outputs_cost_nothing(class_specific, encode):
    grid, centers = (16, 11), Centers(num_classes=3, class_specific_size=class_specific)
    rows = unique_cells(random_rows(grid, images=5, objects=9, classes=3, seed=2), grid)
    targets = encode(rows, grid, centers)
    outputs = perfect_outputs(targets, centers, grid)
    for term in centers.terms():
        value = term.function(ops.convert_to_tensor(np.float32(outputs[term.name])), targets[term.name])
        assert float(ops.convert_to_numpy(value)) < 1e-4
    assert centers.terms()[0].function is losses.focal
