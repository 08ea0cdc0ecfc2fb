"""Checkpoints of FairMOT: distances to edges, embeddings, pixels as they are, and the official network's answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.detector.detector import Detector
from centernet_tf.losses import whole_map

ARCH = "fm_dla_34"


@pytest.fixture(scope="module")
def official(golden):
    return golden(ARCH)


@pytest.fixture(scope="module")
def converted(official):
    return convert_tensors(StateDict(official[1]), "fairmot_dla34.pth")


def test_equals_the_official_network(official, converted):
    meta, _, maps = official
    found = converted.network(meta["image"], training=False)
    assert {head for _, head in maps} == set(meta["heads"])
    for (_, head), expected in maps.items():
        difference = np.abs(ops.convert_to_numpy(whole_map(found[head_names()[head]][0])) - expected).max()
        assert difference < 1e-3 * np.abs(expected).max(), head


def test_the_model_says_what_it_is(converted):
    card = converted.card
    assert list(card.tasks) == ["reid"] and card.classes == ("person",) and card.backbone == "dla34_dcn"
    assert card.ltrb and not card.class_specific_size and card.max_objects == 500
    assert (card.input.height, card.input.width, card.input.order) == (608, 1088, "rgb")
    assert (card.input.mean, card.input.std, card.input.fill) == ((0, 0, 0), (1, 1, 1), 127.5)
    assert card.input.resample == "area"
    assert card.tasks["reid"]["embedding"] == 128 and card.tasks["reid"]["identities"] is None
    assert card.task_set().window == "whole image"
    assert {head.name: head.channels for head in card.task_set().heads}["size"] == 4


def test_it_sees_what_the_official_network_sees(converted):
    with np.load(Path(__file__).parents[1] / "golden" / "tracking" / "preprocess_fm__wide.npz") as file:
        picture, expected, meta = file["picture"], file["out_image"], json.loads(bytes(file["meta"]))
    graph = Detector(converted.network, converted.card).with_input(meta["input_wh"][::-1]).graph
    fitted, fit = graph.fit_images(picture[None, ..., ::-1], np.int32([picture.shape[:2]]))
    np.testing.assert_allclose(ops.convert_to_numpy(fitted)[0], expected, atol=1e-6)
    scale, _, left, top = ops.convert_to_numpy(fit)[0]
    np.testing.assert_allclose([scale, left, top], [meta["ratio"], meta["pad_w"], meta["pad_h"]], atol=1e-5)


def test_sizes_of_two_classes_are_those_of_classes_elsewhere(official_state):
    two = {"classes": ["one", "two"]}
    detector = convert_tensors(StateDict(official_state("res_18", {"hm": 2, "wh": 4, "reg": 2})), "a.pth", **two)
    assert detector.card.class_specific_size and not detector.card.ltrb
    heads = {"hm": 2, "wh": 4, "reg": 2, "id": 8}
    tracker = convert_tensors(StateDict(official_state("res_18", heads)), "a.pth", **two)
    assert tracker.card.ltrb and not tracker.card.class_specific_size
