"""The decoder in NumPy answers what the decode in the graph answers, and needs nothing else."""

import ast
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.exports import decoder
from centernet_tf.exports.answers import NAMES
from centernet_tf.exports.tfod import tfod_answers
from centernet_tf.points.centers import STRIDE, Centers


def maps_of(grid, classes, depth, batch=2, seed=0):
    random = np.random.default_rng(seed)
    heatmap = random.normal(-2, 2, (batch, *grid, classes)).astype(np.float32)
    offset = random.random((batch, *grid, 2), np.float32)
    return heatmap, offset, random.uniform(0, 9, (batch, *grid, depth)).astype(np.float32)


def in_graph(heatmap, offset, size, max_objects, ltrb, iou=None, iou_aware=0.0):
    classes = heatmap.shape[-1]
    specific = size.shape[-1] > 2 and not ltrb
    centers = Centers(classes, max_objects, class_specific_size=specific, ltrb=ltrb, iou_aware=iou_aware)
    outputs = {"heatmap": heatmap, "offset": offset, "size": size, **({} if iou is None else {"iou": iou})}
    outputs = {name: ops.convert_to_tensor(values) for name, values in outputs.items()}
    found = centers.decode(outputs, centers.peaks(outputs))
    height, width = heatmap.shape[1:3]
    sizes = np.array([[height * STRIDE, width * STRIDE]] * len(heatmap))
    answers = tfod_answers({**found, "boxes": found["boxes"] * STRIDE}, sizes, class_offset=0)
    return [ops.convert_to_numpy(answers[name]) for name in NAMES]


@pytest.mark.parametrize("classes, depth, ltrb", [(1, 2, False), (3, 2, False), (3, 6, False), (2, 4, True)])
@pytest.mark.parametrize("grid", [(16, 16), (5, 9)])
def test_equals_the_graph(grid, classes, depth, ltrb):
    maps = maps_of(grid, classes, depth)
    answers = decoder.decode(*maps, max_objects=4, ltrb=ltrb)
    for number, (found, expected) in enumerate(zip(answers, in_graph(*maps, 4, ltrb))):
        assert found.dtype == np.float32 and found.shape == expected.shape, NAMES[number]
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=NAMES[number])


def test_equals_the_graph_where_scores_tell_the_overlap():
    maps = maps_of((9, 9), 2, 4)
    iou = np.random.default_rng(5).normal(size=(2, 9, 9, 1)).astype(np.float32)
    more = {"ltrb": True, "iou": iou, "iou_aware": 0.6}
    for found, expected in zip(decoder.decode(*maps, 6, **more), in_graph(*maps, 6, **more)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_fewer_peaks_than_rows():
    heatmap = np.full((1, 3, 3, 1), -9, np.float32)
    heatmap[0, 1, 1] = 2
    boxes, classes, scores, count = decoder.decode(heatmap, np.zeros((1, 3, 3, 2)), np.ones((1, 3, 3, 2)), 5)
    assert boxes.shape == (1, 5, 4) and count.tolist() == [1]
    np.testing.assert_allclose(boxes[0, 0], np.array([0.5, 0.5, 1.5, 1.5]) / 3)
    assert scores[0, 1:].tolist() == [0] * 4 and classes.tolist() == [[0] * 5]


def test_needs_only_numpy():
    tree = ast.parse(Path(decoder.__file__).read_text())
    names = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [alias.name for node in names for alias in node.names] == ["numpy"]
