"""Checkpoints of CenterTrack: further stems, heads by our names, thresholds, and the official network's answers."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.errors import UsageError
from centernet_tf.model.file import load_model, save_model

ARCH = "ct_dla_34_mot"


@pytest.fixture(scope="module")
def official(golden):
    return golden(ARCH)


@pytest.fixture(scope="module")
def converted(official):
    return convert_tensors(StateDict(official[1]), "mot17_half.pth", size=(96, 160))


def test_equals_the_official_network(official, converted, golden_inputs):
    meta, _, maps = official
    given = golden_inputs(meta)
    checked = 0
    for run in ("full", "first_frame"):
        seen = {"image": meta["image"], "previous": given[meta["runs"][run]["pre_img"]]}
        found = converted.network({**seen, "prior": given[meta["runs"][run]["pre_hm"]]}, training=False)
        for (name, head), expected in maps.items():
            if name == run:
                difference = np.abs(ops.convert_to_numpy(found[head_names()[head]][0]) - expected).max()
                assert difference < 1e-3 * np.abs(expected).max(), f"{run} {head}"
                checked += 1
    assert checked == 10


def test_the_model_says_what_it_is(official, converted):
    card = converted.card
    assert list(card.tasks) == ["track"] and card.classes == ("person",) and card.backbone == "dla34_dcn"
    told = {name: card.tasks["track"][name] for name in ("prior", "amodal_box", "threshold", "prior_threshold")}
    assert told == {"prior": True, "amodal_box": True, "threshold": 0.4, "prior_threshold": 0.5}
    assert (card.input.height, card.input.width) == (96, 160)
    assert "input as for MOT17" in converted.report[1]
    assert sorted(card.task_set().inputs) == ["image", "previous", "prior"]


@pytest.mark.long
def test_is_saved_and_read_back(converted, tmp_path):
    path = tmp_path / "mot.keras"
    save_model(path, converted.network, converted.card)
    network, card = load_model(path)
    assert card == converted.card and sorted(one.name for one in network.inputs) == ["image", "previous", "prior"]


def test_thresholds_that_are_given_stay(official):
    settings = {"threshold": 0.2, "max_age": 32}
    card = convert_tensors(StateDict(official[1]), "a.pth", settings=settings, origin="crowdhuman").card
    task = card.tasks["track"]
    assert (task["threshold"], task["max_age"], task["prior_threshold"]) == (0.2, 32, 0.5)
    assert (card.input.height, card.input.width) == (512, 512)


def test_without_a_stem_for_the_prior(official):
    tensors = {name: value for name, value in official[1].items() if "pre_hm_layer" not in name}
    found = convert_tensors(StateDict(tensors), "a.pth")
    assert sorted(found.card.task_set().inputs) == ["image", "previous"]
    assert any("no stem for a prior heatmap" in line for line in found.report)


def test_without_a_stem_for_the_frame_before(official):
    tensors = {name: value for name, value in official[1].items() if "pre_img_layer" not in name}
    with pytest.raises(UsageError, match=r"missing: base\.pre_img_layer"):
        convert_tensors(StateDict(tensors), "a.pth")


def test_boxes_alone_leave_the_stems_out(official):
    meta, tensors, maps = official
    found = convert_tensors(StateDict(tensors), "a.pth", task="detect")
    assert [one.name for one in found.network.inputs] == ["image"]
    assert any("stem of the input 'previous'" in line for line in found.report)
    heatmap = ops.convert_to_numpy(found.network(meta["image"], training=False)["heatmap"][0])
    expected = maps["image_only", "hm"]
    assert np.abs(heatmap - expected).max() < 1e-3 * np.abs(expected).max()
