"""Checkpoints of MOC: trunk and heads by their names in it, both streams, and the official networks' answers."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors, verify
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.origins import ORIGINS
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.checkpoints.wrapped import unwrapped
from centernet_tf.errors import UsageError
from centernet_tf.model.file import load_model, save_model
from centernet_tf.tasks.action import Action

CASES = {"dla_34": ("dla34_dcn", 256), "resnet_18": ("resnet18_dcn", {"heatmap": 256, "movement": 256, "size": 64})}


@pytest.mark.slow
@pytest.mark.parametrize("arch", [pytest.param("dla_34", marks=pytest.mark.long), "resnet_18"])
def test_equals_the_official_network(arch, golden, tmp_path):
    meta, tensors, maps = golden(f"moc-{arch}")
    converted = convert_tensors(StateDict(tensors), "ucf.pth", size=(64, 96))
    card = converted.card
    assert (card.backbone, card.head_channels) == CASES[arch]
    assert card.tasks["action"].items() >= {"frames": 7, "flow": 0, "clamp": "together"}.items()
    assert card.classes[-1] == "WalkingWithDog"
    found = converted.network(meta["image"][None], training=False)
    for (_, head), expected in maps.items():
        ours = ops.convert_to_numpy(found[head_names()[head]][0])
        assert np.abs(ours - expected).max() < 1e-3 * np.abs(expected).max(), head
    save_model(tmp_path / "model.keras", converted.network, card)
    assert load_model(tmp_path / "model.keras")[1] == card


@pytest.mark.long
def test_a_flow_network(golden):
    _, tensors, _ = golden("moc-resnet_18")
    kernel = tensors["backbone.conv1.weight"].mean(axis=1, keepdims=True)
    tensors["backbone.conv1.weight"] = np.repeat(kernel, 15, axis=1)
    converted = convert_tensors(StateDict(tensors), "flow.pth", size=(64, 96))
    assert converted.card.tasks["action"]["flow"] == 5
    assert any("optical flow, 5 pictures" in line for line in converted.report)
    clip = np.random.default_rng(0).normal(size=(1, 7, 64, 96, 15)).astype(np.float32)
    assert converted.network(clip, training=False)["heatmap"][0].shape == (1, 16, 24, 24)


def test_a_file_reduces_nothing():
    with pytest.raises(UsageError, match=r"action\.reduce is 16, but published checkpoints reduce nothing"):
        Action(reduce=16).from_heads({"movement": 14}, ORIGINS["ucf101_24"])


@pytest.mark.long
def test_a_file_is_read_and_verified(golden, tmp_path):
    torch = pytest.importorskip("torch")
    _, tensors, _ = golden("moc-resnet_18")
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "model.pth")
    converted = convert_tensors(StateDict(tensors), "model.pth")
    save_model(tmp_path / "model.keras", converted.network, converted.card)
    assert verify(tmp_path / "model.pth", tmp_path / "model.keras") > 50


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["backbone.features.0"], ["backbone.features.0"]),  # no MOC
        (
            ["backbone.deconv_layer.deconv_layers.0.bias", "backbone.bn1.bias", "branch.hm.0.bias"],
            ["deconv_layers.0.bias", "bn1.bias", "hm.0.bias"],
        ),
        (["backbone.base.level0.0.weight", "branch.mov.2.bias"], ["base.level0.0.weight", "mov.2.bias"]),
    ],
)
def test_names(names, expected):
    assert list(unwrapped(dict.fromkeys(names))) == expected
