"""Ground truth laid out as maps: nearest values, logits, and which heads have any."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import Centers
from centernet_tf.points.oracle import ideal_maps, lay_out, nearest
from centernet_tf.tasks import TASKS, build_tasks
from centernet_tf.tasks.box3d.decode import to_alphas, to_metres
from centernet_tf.tasks.box3d.targets import bins_of, ideal_depth, ideal_rotation


def test_every_cell_has_the_nearest_owner():
    random = np.random.default_rng(0)
    owner = np.where(random.random((3, 9, 12)) < 0.05, random.integers(0, 7, (3, 9, 12)), -1).astype(np.int32)
    owner[2] = -1
    found = ops.convert_to_numpy(nearest(ops.convert_to_tensor(owner)))
    y, x = np.mgrid[:9, :12]
    for mine, there in zip(found, owner):
        rows, columns = np.nonzero(there >= 0)
        steps = np.abs(y[..., None] - rows) + np.abs(x[..., None] - columns)
        for place in np.ndindex(9, 12):
            near = steps[place] == steps[place].min() if len(rows) else np.zeros(0, bool)
            assert mine[place] in (there[rows, columns][near] if len(rows) else [-1])


def test_values_are_laid_out_channel_by_channel():
    index = np.array([[0, 15, 3]], np.int32)  # corners of a grid of 4 x 4 cells; the third is padding
    value = np.array([[[1, 2], [3, 4], [9, 9]]], np.float32)
    whole = ops.convert_to_numpy(
        lay_out({"index": index, "mask": np.float32([[[1], [1], [0]]]), "value": value}, (4, 4))
    )
    assert whole[0, 0, 1].tolist() == [1, 2] and whole[0, 3, 2].tolist() == [3, 4] and 9 not in whole
    parts = {"index": index, "mask": np.float32([[[1, 0], [0, 1], [0, 0]]]), "value": value}
    assert (ops.convert_to_numpy(lay_out(parts, (4, 4))) == [1, 4]).all()


def test_nobody_is_nowhere():
    nobody = {"index": np.zeros((1, 2), np.int32), "mask": np.zeros((1, 2, 1)), "value": np.full((1, 2, 2), 9.0)}
    assert not ops.convert_to_numpy(lay_out(nobody, (3, 3))).any()


def test_heatmaps_become_logits():
    wanted = np.array([0, 0.3, 1], np.float32).reshape(1, 1, 3, 1)
    scores = ops.convert_to_numpy(ops.sigmoid(lay_out({"heatmap": wanted}, (1, 3))))
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    assert np.isfinite(scores).all() and scores[0, 0, 2, 0] > 0.9999


def test_numbers_that_the_network_codes_come_back():
    metres = np.array([[[2.0], [40.0]]], np.float32)
    np.testing.assert_allclose(
        ops.convert_to_numpy(to_metres(ideal_depth({"value": metres})["value"])), metres, rtol=1e-3
    )
    alphas = np.linspace(-3.1, 3.1, 20, dtype=np.float32)[None]
    bins, residuals = bins_of(alphas)
    found = ops.convert_to_numpy(to_alphas(ideal_rotation({"bins": bins, "residuals": residuals})["value"]))
    np.testing.assert_allclose(found, alphas, atol=1e-4)


@pytest.mark.parametrize("specific", [False, True])
def test_boxes_of_ideal_maps_are_the_objects(rows, specific):
    centers = Centers(3, max_objects=5, class_specific_size=specific)
    tasks = build_tasks({"detect": TASKS["detect"]()}, centers)
    made = rows(tasks.fields)
    maps = ideal_maps(tasks, made, (16, 16), [head.name for head in tasks.heads])
    assert {name: values.shape[-1] for name, values in maps.items()} == {one.name: one.channels for one in tasks.heads}
    found = tasks.decode({name: [values] for name, values in maps.items()})
    for image in range(2):
        scores, boxes = (ops.convert_to_numpy(found[name][image]) for name in ("scores", "boxes"))
        assert (scores > 0.99).sum() == 3
        order = np.lexsort(boxes[:3, :2].round(3).T)
        truth = made["boxes"][image, :3] / 4
        np.testing.assert_allclose(boxes[:3][order], truth[np.lexsort(truth[:, :2].round(3).T)], atol=1e-4)
