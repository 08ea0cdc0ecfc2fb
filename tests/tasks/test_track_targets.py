"""Prior heatmaps and targets of tracking: the original's on recorded draws, and what they mean."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry import affine, gaussian
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks.track import Track, prior, targets

SAMPLES = ("mot_plain", "mot_disturbed", "kitti_3d")
DROPPED = {"": -999, "pre_": -99}  # categories up to these are no part of a sample, at the present and before


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def corners(boxes, matrix):
    return np.concatenate([affine.move_points(boxes[:, :2], matrix), affine.move_points(boxes[:, 2:], matrix)], axis=1)


def annotated(arrays, meta, prefix):
    """Rows of one of the two frames in pixels of the network's input, and their categories as the original has them."""
    boxes = arrays[f"{prefix}ann_bbox"].astype(float)
    if meta["flipped"]:
        boxes[:, 0] = meta["picture_wh"][0] - boxes[:, 0] - 1 - boxes[:, 2]
    boxes[:, 2:] += boxes[:, :2]
    matrix = arrays[f"trans_input{'_pre' if prefix else ''}"]
    kinds = np.array([meta["category_map"][str(kind)] for kind in arrays[f"{prefix}ann_category_id"]])
    rows = {
        "boxes": corners(boxes, matrix).astype(np.float32),
        "track_ids": arrays[f"{prefix}ann_track_id"],
        "crowd": arrays[f"{prefix}ann_iscrowd"] > 0,
        "kinds": kinds,
    }
    return {name: values[kinds > DROPPED[prefix]] for name, values in rows.items()}


def joined(arrays, meta):
    """What `targets.join` makes of a golden sample with its recorded draws, and the rows of the present frame."""
    present, before = annotated(arrays, meta, ""), annotated(arrays, meta, "pre_")
    noise = targets.Noise(meta["hm_disturb"], meta["lost_disturb"], meta["fp_disturb"])
    draws = np.nan_to_num(arrays["pre_draws"])
    assert len(targets.drawn_rows(before, meta["input_hw"])) == len(draws)
    return targets.join(present, before, tuple(meta["input_hw"]), noise, draws)


def as_batch(rows, length):
    """Rows of one image as the device gets them. Crowds are ignored in their class, as in the original."""
    count, kinds = len(rows["boxes"]), rows["kinds"]
    classes = np.where(kinds > 0, kinds - 1, np.where(kinds == 0, -1, -kinds - 1))
    whole = {**rows, "classes": classes, "ignored": (kinds <= 0) | rows["crowd"]}
    batch = {name: np.zeros((1, length, *values.shape[1:]), values.dtype) for name, values in whole.items()}
    for name, values in whole.items():
        batch[name][0, :count] = values
    return {**batch, "valid": np.arange(length)[None] < count}


@pytest.mark.parametrize("name", SAMPLES)
def test_prior_heatmap_of_training_equals_the_original(name, golden):
    arrays, meta = golden(f"target_ct__{name}")
    _, drawn = joined(arrays, meta)
    rows = {key: values[None] for key, values in drawn.items()}
    heatmap = prior.draw({**rows, "valid": np.ones((1, len(drawn["boxes"])), bool)}, tuple(meta["input_hw"]))
    np.testing.assert_allclose(ops.convert_to_numpy(heatmap)[0], arrays["out_pre_hm"], atol=1e-4)


def test_prior_heatmap_of_tracks_equals_the_original(golden):
    arrays, meta = golden("preprocess_ct__wide")
    shown = (arrays["track_score"] >= meta["pre_thresh"]) & (arrays["track_active"] > 0)
    assert 0 < shown.sum() < len(shown)
    boxes = corners(arrays["track_bbox"][shown], arrays["trans_input"]).astype(np.float32)[None]
    heatmap = prior.draw({"boxes": boxes, "valid": np.ones(boxes.shape[:2], bool)}, tuple(meta["input_hw"]))
    np.testing.assert_allclose(ops.convert_to_numpy(heatmap), arrays["out_prior"], atol=1e-5)


@pytest.mark.parametrize("size", [(64, 96), (3, 40), (50, 33)], ids=str)
@pytest.mark.parametrize("count", [0, 1, 3, 4, 22])
def test_prior_heatmap_is_the_largest_of_all_planes(count, size):
    height, width = size
    random = np.random.default_rng(count)
    corner = random.uniform(-10, [width, height], (2, 22, 2))
    boxes = np.concatenate([corner, corner + random.uniform(-2, 30, corner.shape)], axis=-1).astype(np.float32)
    valid = np.arange(22) < [[count], [count // 2]]
    expected = np.zeros((2, height, width))
    down, across = np.mgrid[:height, :width]
    for image, number in np.argwhere(valid):
        left, top, right, bottom = np.clip(boxes[image, number], 0, [width - 1, height - 1] * 2)
        if right <= left or bottom <= top:
            continue
        reach = int(ops.floor(gaussian.radius(np.ceil(bottom - top), np.ceil(right - left))))
        away = np.stack([down - int((top + bottom) / 2), across - int((left + right) / 2)])
        plane = np.exp(-(away**2).sum(axis=0) / (2 * ((2 * reach + 1) / 6) ** 2)) * (abs(away) <= reach).all(axis=0)
        expected[image] = np.maximum(expected[image], plane)
    found = ops.convert_to_numpy(prior.draw({"boxes": boxes, "valid": valid}, size))
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-6)
    assert count < 3 or expected.any()


@pytest.mark.parametrize("name", SAMPLES)
def test_targets_equal_the_original(name, golden):
    arrays, meta = golden(f"target_ct__{name}")
    rows = as_batch(joined(arrays, meta)[0], meta["max_objects"])
    centers = Centers(meta["num_classes"], meta["max_objects"], ignored_area=True, every_object=True)
    located = centers.locate(rows, tuple(meta["output_hw"]))
    found = numpy_of({**centers.encode(rows, located), **targets.encode(rows, located)})
    kept, expected = ops.convert_to_numpy(located["boxed"])[0], arrays["out_mask"] > 0
    assert kept.sum() == expected.sum() > 3
    listed = found["heatmap"]
    np.testing.assert_array_equal(listed["mask"][0], kept)
    np.testing.assert_array_equal(listed["index"][0][kept], arrays["out_ind"][expected])
    np.testing.assert_array_equal(listed["classes"][0][kept], arrays["out_cat"][expected])
    # What is ignored is 1 there, and here a little less, which costs as little.
    np.testing.assert_allclose(listed["heatmap"][0], arrays["out_hm"], atol=1.1e-4)
    terms = {"offset": "reg", "size": "wh", "displacement": "tracking", "amodal_box": "ltrb_amodal"}
    for ours, theirs in terms.items():
        if f"out_{theirs}" not in arrays:
            continue
        value = found[ours]["value"][0][kept]
        mask = np.broadcast_to(found[ours]["mask"][0][kept], value.shape)
        np.testing.assert_array_equal(mask, arrays[f"out_{theirs}_mask"][expected])
        truth = arrays[f"out_{theirs}"][expected] * mask
        np.testing.assert_allclose(value * mask, truth, atol=1e-4, err_msg=f"{name} {ours}")


def rows_of(boxes, ids, crowd=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return {
        "boxes": boxes,
        "track_ids": np.array(ids, np.int64),
        "crowd": np.zeros(len(boxes), bool) if crowd is None else np.array(crowd),
        "classes": np.zeros(len(boxes), np.int32),
        "ignored": np.zeros(len(boxes), bool),
    }


def displacement_of(present, before, size=(64, 128)):
    """[N, 2] wanted displacements and [N] whether they are wanted, without noise."""
    none = targets.no_lots(len(targets.drawn_rows(before, size)))
    rows, _ = targets.join(present, before, size, targets.Noise(), none)
    batch = {**{name: values[None] for name, values in rows.items()}, "valid": np.ones((1, len(rows["boxes"])), bool)}
    target = numpy_of(targets.encode(batch, Centers(1).locate(batch, (size[0] // STRIDE, size[1] // STRIDE))))
    return target["displacement"]["value"][0], target["displacement"]["mask"][0, :, 0] > 0


@pytest.mark.parametrize("way", [(0, 0), (8, 0), (-12, 4), (20, -16)])
def test_an_object_that_moved_on_points_back(way):
    before = np.array([40, 20, 56, 36.0])
    present = before + np.tile(way, 2)
    # The middles are corners of cells, so that nothing is rounded: back by the way, in cells.
    value, wanted = displacement_of(rows_of([present], [7]), rows_of([before], [7]))
    np.testing.assert_allclose(value, [np.array(way) / -STRIDE])
    assert wanted.all()


def test_only_objects_with_a_past_learn_their_way():
    boxes = [[8, 8, 24, 24], [40, 8, 56, 24], [72, 8, 88, 24], [100, 8, 116, 24]]
    before = rows_of([boxes[1], boxes[0], boxes[2], boxes[3]], [2, -1, 3, 4], [False, False, True, False])
    _, wanted = displacement_of(rows_of(boxes, [9, 2, 3, -1]), before)
    assert wanted.tolist() == [False, True, False, False]  # new; known; a crowd before; nobody knows who


def test_of_an_identity_twice_the_first_counts():
    before = rows_of([[8, 8, 24, 24], [72, 8, 88, 24]], [1, 1])
    value, _ = displacement_of(rows_of([[40, 8, 56, 24]], [1]), before)
    assert value.tolist() == [[-8, 0]]


def test_in_the_same_image_once_more_everyone_is_known():
    present = rows_of([[8, 8, 24, 24], [0, 0, 8, 8], [72, 8, 88, 24]], [-1, -1, -1], [False, True, False])
    before = {**present, "boxes": present["boxes"] + 4}
    _, wanted = displacement_of(present, {**before, "present": np.full(3, -1)})
    assert not wanted.any()  # another image in which nobody says who is who
    value, wanted = displacement_of(present, {**before, "present": np.arange(3)})
    assert wanted.tolist() == [True, False, True]
    np.testing.assert_allclose(value[wanted], 1)


def test_noise_is_as_frequent_as_it_says():
    count, size = 4000, (512, 512)
    random = np.random.default_rng(0)
    boxes = np.tile(np.float32([100, 100, 140, 180]), (count, 1))
    noise = targets.Noise(shift=0.05, missing=0.4, doubled=0.1)
    rows = rows_of(boxes, np.arange(count))
    _, drawn = targets.join(rows, rows, size, noise, targets.draw_lots(random, count))
    assert drawn["drawn"].mean(axis=0) == pytest.approx([0.6, 0.06], abs=0.02)
    np.testing.assert_allclose(drawn["shifts"].std(axis=0), 0.05 * np.array([[40, 80], [40, 80]]), rtol=0.05)
    np.testing.assert_allclose(drawn["shifts"].mean(axis=0), 0, atol=0.2)


def test_who_is_missing_learns_the_way_to_where_it_would_have_been():
    rows = rows_of([[8, 8, 48, 28], [60, 8, 100, 28]], [1, 2])
    draws = np.array([[1.0, -1.0, 0.1, 1, 0, 0], [1.0, -1.0, 0.9, 1, 0, 0]])
    found, drawn = targets.join(rows, rows, (64, 128), targets.Noise(0.1, 0.4, 0.1), draws)
    np.testing.assert_allclose(found["before"], [[28 + 4, 18 - 2], [80, 18]])
    assert drawn["drawn"].tolist() == [[False, False], [True, False]]


def test_without_chance_the_prior_shows_everyone_in_place():
    rows = rows_of([[8, 8, 40, 24], [60, 8, 100, 28]], [1, 2])
    _, drawn = Track().build(Centers(1)).clip.join({0: rows, -1: rows}, (64, 128), None)
    assert drawn["drawn"].tolist() == [[True, False]] * 2 and not drawn["shifts"].any()


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ([8, 8, 15, 15], slice(2, 4), slice(2, 4)),
        ([8, 70, 15, 90], slice(15, 16), slice(2, 4)),  # cut down to the last row
        ([200, 8, 220, 15], slice(2, 4), slice(31, 32)),  # beyond the edge: what is left is its column
    ],
)
def test_ignored_boxes_are_unjudged_where_they_are_cut_to_a_line_too(box, rows, columns):
    batch = {name: values[None] for name, values in rows_of([box], [-1]).items()}
    batch |= {"ignored": np.ones((1, 1), bool), "valid": np.ones((1, 1), bool)}
    centers = Centers(1, ignored_area=True, every_object=True)
    target = numpy_of(centers.encode(batch, centers.locate(batch, (16, 32))))["heatmap"]
    expected = np.zeros((16, 32), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(target["heatmap"][0, :, :, 0] > 0.99, expected)
    assert not target["mask"].any()
