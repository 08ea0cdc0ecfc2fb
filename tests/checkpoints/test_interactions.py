"""Checkpoints of PPDM and IP-Net: trunks with further maps, heads, verbs, and the official networks' answers."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors, verify
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.errors import UsageError
from centernet_tf.model.file import load_model, save_model

VERBS = [f"verb{number}" for number in range(10)]
CLASSES = ["person", *(f"thing{number}" for number in range(10))]
# What nothing reads of DLA-34: two projections with their normalisations, and ImageNet's classifier.
DEAD = {"dla34": (64 * 128 + 2 * 128) + (128 * 256 + 2 * 256) + (512 * 1000 + 1000)}
BACKBONES = {"dla_34": "dla34_dcn", "resdcn_18": "resnet18_dcn", "dla3levelglob_34": "dla34_dcn_3level_glob"}


def compare(network, meta, maps):
    found = network(meta["image"], training=False)
    for (stack, head), expected in maps.items():
        ours = ops.convert_to_numpy(found[head_names()[head]][int(stack)])
        assert np.abs(ours - expected).max() < 1e-3 * np.abs(expected).max(), (stack, head)


@pytest.mark.parametrize(
    "arch",
    # The last has all that the others have.
    [
        pytest.param(arch, marks=[pytest.mark.slow, *[pytest.mark.long] * (arch != "dla3levelglob_34")])
        for arch in BACKBONES
    ],
)
def test_equals_the_official_ppdm(arch, golden, tmp_path):
    meta, tensors, maps = golden(f"ppdm-{arch}")
    converted = convert_tensors(
        StateDict(tensors), "hoia.pth", classes=CLASSES, arch=arch, settings={"verbs": VERBS}, size=(96, 160)
    )
    card = converted.card
    assert card.backbone == BACKBONES[arch]
    assert card.tasks["hoi"].items() >= {"head": "offsets", "verbs": VERBS}.items()
    count = sum(int(np.prod(weight.shape)) for weight in converted.network.trainable_weights)
    assert count + DEAD.get(card.backbone[:5], 0) == meta["parameters"]
    compare(converted.network, meta, maps)
    save_model(tmp_path / "model.keras", converted.network, card)
    again, card_again = load_model(tmp_path / "model.keras")
    assert card_again == card
    compare(again, meta, maps)


@pytest.mark.long
def test_equals_the_official_ip_net(golden):
    meta, tensors, maps = golden("ipnet-hourglass")
    converted = convert_tensors(StateDict(tensors), "ipnet.pth", size=(128, 128))
    card = converted.card
    assert card.backbone == "hourglass104_pooled"
    assert (card.input.order, card.classes[0], len(card.classes)) == ("rgb", "person", 80)
    settings = card.tasks["hoi"]
    assert (settings["head"], len(settings["verbs"]), settings["alone"]) == (
        "vector",
        29,
        ["walk", "smile", "run", "stand"],
    )
    assert any("another detector's boxes" in line for line in converted.report)
    compare(converted.network, meta, maps)
    scores = ops.sigmoid(converted.network(meta["image"], training=False)["heatmap"][-1])
    assert float(ops.max(scores)) < 1e-6, "without a head of objects there are none"


def with_heads(tensors, verbs, classes):
    """The tensors with so many verbs and classes."""
    made = dict(tensors)
    for head, count in (("hm_rel", verbs), ("hm", classes)):
        made[f"{head}.2.weight"] = np.resize(tensors[f"{head}.2.weight"], (count, 64, 1, 1))
        made[f"{head}.2.bias"] = np.resize(tensors[f"{head}.2.bias"], count)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verbs", "classes", "title", "first"),
    [
        pytest.param(117, 80, "HICO-DET", "adjust", marks=pytest.mark.long),
        pytest.param(25, 80, "V-COCO", "surf_instr", marks=pytest.mark.long),
        (10, 11, "HOI-A", "smoke"),
    ],
)
def test_verbs_tell_the_data(verbs, classes, title, first, golden):
    _, tensors, _ = golden("ppdm-resdcn_18")
    card = convert_tensors(StateDict(with_heads(tensors, verbs, classes)), "model.pth", size=(96, 160)).card
    assert card.about["origin"] == title
    assert (card.tasks["hoi"]["verbs"][0], len(card.tasks["hoi"]["verbs"])) == (first, verbs)
    assert (card.classes[0], len(card.classes)) == ("person", classes)


def test_unknown_verbs_have_to_be_named(golden):
    _, tensors, _ = golden("ppdm-resdcn_18")
    others = with_heads(tensors, 9, len(CLASSES))
    with pytest.raises(UsageError, match=r"it has 9 verbs, but 0 are named. Name each, in order"):
        convert_tensors(StateDict(others), "model.pth", classes=CLASSES)
    del tensors["sub_offset.2.weight"], tensors["sub_offset.0.weight"]
    del tensors["sub_offset.2.bias"], tensors["sub_offset.0.bias"]
    with pytest.raises(UsageError, match="needs heads sub_offset, which the file lacks"):
        convert_tensors(StateDict(tensors), "model.pth", classes=CLASSES, task="hoi")


@pytest.mark.long
def test_a_file_is_read_and_verified(golden, tmp_path):
    torch = pytest.importorskip("torch")
    _, tensors, _ = golden("ppdm-dla3levelglob_34")
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "model.pth")
    converted = convert_tensors(StateDict(tensors), "model.pth", classes=CLASSES, settings={"verbs": VERBS})
    save_model(tmp_path / "model.keras", converted.network, converted.card)
    assert verify(tmp_path / "model.pth", tmp_path / "model.keras") > 100
