"""Clips to tubelets as the original detector does: stretched input, flip test, fused streams, and the way back."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.tasks.action import fuse

FOLDER = Path(__file__).parents[1] / "golden" / "points"
OFFICIAL = {"heatmap": "hm", "movement": "mov", "size": "wh"}


def golden(name):
    with np.load(FOLDER / f"moc-{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("meta").tobytes())


def card_of(size, classes=2, objects=10, **task):
    names = tuple(f"action {number}" for number in range(classes))
    task = {"clamp": "together", **task}
    whole = InputCard(height=size[0], width=size[1], stride=4)
    return ModelCard(tasks={"action": task}, backbone="tiny", classes=names, max_objects=objects, input=whole)


def graph_of(card, network=None):
    tasks = card.task_set()
    return DetectorGraph(network or build_network("tiny", tasks.heads, tasks.inputs), tasks, card.input)


def shown_of(graph, pictures, mirrored=False):
    """What the network sees of pictures [T, H, W, C] of one video."""
    sizes = np.array([pictures.shape[1:3]], np.int32)
    middle = ops.convert_to_tensor(pictures[None, len(pictures) // 2, ..., :3])
    inputs = {"images": middle, "sizes": ops.convert_to_tensor(sizes), "image": ops.convert_to_tensor(pictures[None])}
    seen = graph.show(inputs)[0]["image"]
    if mirrored:
        seen = flip.both_sides(seen, graph.tasks.inputs["image"], graph.card.normalization)[1:]
    return ops.convert_to_numpy(seen)[0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_clips_are_stretched_as_in_the_original(mirrored):
    arrays, meta = golden("preprocess")
    images = shown_of(graph_of(card_of((meta["size"],) * 2)), arrays["frames"][..., ::-1], mirrored)
    half = slice(7, 14) if mirrored else slice(0, 7)
    assert np.abs(images - np.moveaxis(arrays["out"][half], 1, -1)).max() < 1e-3
    rgb = arrays["flow"][..., ::-1]
    stacked = np.concatenate([rgb[place : place + 7] for place in range(5)], axis=-1)
    flow = shown_of(graph_of(card_of((meta["flow_size"],) * 2, flow=5)), stacked, mirrored)
    assert np.abs(flow - np.moveaxis(arrays["flow_out"][half], 1, -1)).max() < 1e-3


def maps_of(arrays, name):
    return {ours: np.moveaxis(arrays[f"map/{name}/{theirs}"], 1, -1) for ours, theirs in OFFICIAL.items()}


def test_the_detector_equals_the_original():
    arrays, meta = golden("detector")
    height, width = meta["image_hw"]
    grid = arrays["map/rgb/hm"].shape[2:]
    card = card_of((4 * grid[0], 4 * grid[1]), meta["num_classes"], meta["N"])
    graph, heads = graph_of(card), card.task_set().heads
    fit = ops.convert_to_tensor([[4 * grid[1] / width, 4 * grid[0] / height, 0.0, 0.0]], "float32")
    # As recorded, the mirror image's maps are those of the network, not yet turned back.
    plain, mirrored = maps_of(arrays, "rgb"), maps_of(arrays, "rgb_flip")
    both = {name: np.concatenate([plain[name], mirrored[name]]) for name in OFFICIAL}
    made = {"rgb_flip": flip.join_sides(both, heads)}
    weights = fuse.Fusion(heatmap=meta["variants"]["both"]["hm_fusion_rgb"])
    made["both"] = fuse.fused(maps_of(arrays, "rgb"), maps_of(arrays, "flow"), weights)
    for variant, maps in made.items():
        cut = graph.cut(graph.find(maps, fit, {}), ops.convert_to_tensor([[height, width]]))
        found = {name: ops.convert_to_numpy(one)[0] for name, one in cut.items()}
        boxes = found["tubelets"].reshape(-1, 28)
        expected = arrays[f"{variant}/out0"]
        order = np.lexsort((-expected[:, -1], expected[:, 0]))
        ours = np.lexsort((-found["scores"], found["classes"]))
        np.testing.assert_array_equal(found["classes"][ours] + 1, expected[order, 0])
        np.testing.assert_allclose(found["scores"][ours], expected[order, -1], atol=1e-5)
        np.testing.assert_allclose(boxes[ours], expected[order, 1:-1], atol=2e-2)


def test_fused_streams_of_one_weight_are_one_stream():
    random = np.random.default_rng(0)
    one, other = ({name: random.normal(size=(1, 3, 4, 2)).astype(np.float32) for name in OFFICIAL} for _ in range(2))
    for weight, expected in ((1.0, one), (0.0, other)):
        found = fuse.fused(one, other, fuse.Fusion(weight, weight, weight))
        for name in OFFICIAL:
            np.testing.assert_allclose(ops.convert_to_numpy(found[name]), expected[name], atol=1e-5)


def test_boxes_come_back_where_they_are():
    card = card_of((32, 64), frames=3, window="stretched")
    detector = Detector(graph_of(card).network, card)
    image = np.zeros((20, 80, 3), np.uint8)
    found = detector(image, threshold=0.0)
    assert found.fields["tubelets"].shape == (10, 3, 4)
    np.testing.assert_array_equal(found.boxes, found.fields["tubelets"][:, 1])
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert (found.boxes >= 0).all() and middle[:, 0].max() > 40  # in pixels of the image, which is 80 wide
    assert (found.fields["tubelets"] <= [79, 19, 79, 19]).all()


def test_other_scales_are_refused():
    card = card_of((32, 64), frames=3)
    detector = Detector(graph_of(card).network, card).with_options(scales=(0.5, 1.0))
    with pytest.raises(UsageError, match="stretched into the input here"):
        detector(np.zeros((20, 80, 3), np.uint8))
