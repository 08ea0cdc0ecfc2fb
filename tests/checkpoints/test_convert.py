import functools

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.backbones import find_backbone
from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.heads import Heads, head_names
from centernet_tf.checkpoints.origins import COCO_CLASSES, PASCAL_CLASSES
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.file import load_model, save_model
from centernet_tf.model.network import head_map
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton
from centernet_tf.tasks.box3d import Box3d
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.pose import Pose

pytestmark = pytest.mark.usefixtures("one_trunk")
ARCHS = {"res_18": "resnet18", "resdcn_18": "resnet18_dcn", "dla_34": "dla34_dcn", "hourglass": "hourglass104"}
THREE = ("one", "two", "three")
CAMERA = [[190.0, 0, 80, 12], [0, 190, 50, 0], [0, 0, 1, 0]]


def converted(tensors, **options):
    return convert_tensors(StateDict(tensors), "model.pth", **options)


def head_of(features, tensors, name, hidden, last):
    """What the official head computes, in NumPy: 3x3 convolution, ReLU, 1x1 convolution."""
    if f"{hidden}.weight" in tensors:
        kernel = tensors[f"{hidden}.weight"]
        padded = np.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = features.shape[1:3]
        features = tensors[f"{hidden}.bias"] + sum(
            padded[:, row : row + height, column : column + width] @ kernel[:, :, row, column].T
            for row in range(3)
            for column in range(3)
        )
        features = np.maximum(features, 0)
    return features @ tensors[f"{last}.weight"][:, :, 0, 0].T + tensors[f"{last}.bias"]


# The hourglass is large, and its stacks are the same for every task; the others repeat what the smallest shows.
CASES = [
    (arch, task) for arch in ARCHS for task in ("detect", "pose", "box3d") if arch != "hourglass" or task == "pose"
]


def marks_of(arch, task):
    if arch == "res_18":
        return []
    return [pytest.mark.long] if task == "pose" and arch != "resdcn_18" else [pytest.mark.long, pytest.mark.release]


@pytest.mark.parametrize(
    ("arch", "task"),
    [pytest.param(*case, marks=marks_of(*case)) for case in CASES],
)
def test_heads_of_every_task(arch, task, official_state, official_heads):
    tensors = official_state(arch, official_heads[task])
    found = converted(tensors, arch=arch, classes=("person",) if task == "pose" else THREE)
    assert found.card.backbone == ARCHS[arch]
    network = found.network
    trunk = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    side = 128 if arch == "hourglass" else 32
    image = np.random.default_rng(0).normal(size=(1, side, side, 3)).astype("float32")
    maps, features = network(image, training=False), trunk({"image": image}, training=False)
    names = head_names()
    assert set(maps) == {names[name] for name in official_heads[task]}
    for name in official_heads[task]:
        for stack, ours in enumerate(maps[names[name]]):
            places = (
                (f"{name}.{stack}.0.conv", f"{name}.{stack}.1") if arch == "hourglass" else (f"{name}.0", f"{name}.2")
            )
            expected = head_of(ops.convert_to_numpy(features[f"stack{stack + 1}"]), tensors, name, *places)
            difference = np.abs(ops.convert_to_numpy(ours) - expected).max() / np.abs(expected).max()
            assert difference < 1e-5, (name, stack)


# Learnable parameters in the official code, its unused projections and classifier left out.
PARAMETERS = {
    "res_18": {"coco": 15_820_372, "pascal": 15_816_472, "pose": 16_261_242, "box3d": 16_258_707},
    "resdcn_18": {"coco": 14_437_349, "pascal": 14_433_449, "pose": 14_546_443, "box3d": 14_543_908},
    "dla_34": {"coco": 19_675_892, "pascal": 19_660_472, "pose": 20_112_346, "box3d": 20_102_323},
    "dlav0_34": {"coco": 17_961_476, "pascal": 17_946_056, "pose": 18_397_930, "box3d": 18_387_907},
    "hourglass": {"coco": 191_284_008, "pascal": 191_253_168, "pose": 194_811_124, "box3d": 194_791_078},
}
DEAD = {"dla_34": 41_728, "dlav0_34": 41_728}


@functools.cache
def trunk_parameters(arch):
    return parameters(find_backbone(arch).build({"image": 3}))


def parameters(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize("task", ["coco", "pascal", "pose", "box3d"])
@pytest.mark.parametrize("arch", [pytest.param("hourglass", marks=pytest.mark.long), *list(PARAMETERS)[:-1]])
def test_parameters_are_as_many_as_officially(arch, task, official_heads):
    channels = {"coco": {"hm": 80, "wh": 2, "reg": 2}, "pascal": {"hm": 20, "wh": 2, "reg": 2}, **official_heads}[task]
    entry, stacked = find_backbone(arch), arch == "hourglass"
    features = keras.Input((None, None, 256 if stacked or arch == "res_18" else 64))
    heads = Heads(channels, entry.head_channels, stacked).ours()
    maps = [head_map(features, head, entry.head_channels, head.name) for head in heads]
    count = trunk_parameters(arch) + (1 + stacked) * parameters(keras.Model(features, maps))
    assert count == PARAMETERS[arch][task] - DEAD.get(arch, 0)


@pytest.mark.parametrize(
    ("task", "classes", "given", "size", "mean"),
    [
        ("detect", 80, COCO_CLASSES, (512, 512), (0.40789654, 0.44719302, 0.47026115)),
        ("detect", 20, PASCAL_CLASSES, (384, 384), (0.485, 0.456, 0.406)),
        ("pose", 1, ("person",), (512, 512), (0.40789654, 0.44719302, 0.47026115)),
        ("box3d", 3, ("Pedestrian", "Car", "Cyclist"), (384, 1280), (0.485, 0.456, 0.406)),
    ],
)
def test_card_of_official_data(task, classes, given, size, mean, official_state, official_heads):
    card = converted(official_state("res_18", {**official_heads[task], "hm": classes})).card
    assert (card.classes, (card.input.height, card.input.width), card.input.mean) == (given, size, mean)
    assert (card.input.order, card.input.stride, card.input.mode) == ("bgr", 32, "fixed")
    expected = {
        "detect": Detect(),
        "pose": Pose(skeleton=COCO_PERSON),
        "box3d": Box3d(camera=DEFAULT_CAMERA, shifted_sizes=True),
    }
    assert card.settings == {task: expected[task]}


def test_own_classes_and_settings(official_state, official_heads):
    tensors = official_state("res_18", official_heads["detect"])
    card = converted(tensors, classes=THREE, origin="pascal", size=(256, 320), max_objects=30).card
    assert (card.classes, card.max_objects, card.tasks) == (THREE, 30, {"detect": {}})
    assert (card.input.height, card.input.width, card.input.mean[0]) == (256, 320, 0.485)


@pytest.mark.long
def test_saved_and_loaded(tmp_path, official_state, official_heads):
    found = converted(official_state("resdcn_18", official_heads["detect"], width=32), classes=THREE)
    save_model(tmp_path / "model.keras", found.network, found.card)
    network, card = load_model(tmp_path / "model.keras")
    assert card == found.card
    assert card.head_channels == 32
    for one, other in zip(network.get_weights(), found.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_heads_without_hidden_convolution(official_state, official_heads):
    tensors = official_state("res_18", official_heads["detect"], width=0)
    found = converted(tensors, classes=THREE)
    assert found.card.head_channels == 0
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    trunk = next(layer for layer in found.network.layers if isinstance(layer, keras.Model))
    features = ops.convert_to_numpy(trunk({"image": image}, training=False)["stack1"])
    expected = head_of(features, tensors, "hm", "none", "hm")
    ours = ops.convert_to_numpy(found.network(image, training=False)["heatmap"][0])
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


def test_without_offset_the_middle_of_the_cell(official_state):
    found = converted(official_state("res_18", {"hm": 3, "wh": 2}), classes=THREE)
    image = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype("float32")
    assert (ops.convert_to_numpy(found.network(image, training=False)["offset"][0]) == 0.5).all()
    assert any(line.startswith("no head 'reg': 0.5 in every cell") for line in found.report)


def test_class_specific_size(official_state):
    found = converted(official_state("res_18", {"hm": 3, "wh": 6, "reg": 2}), classes=THREE)
    assert found.card.class_specific_size


@pytest.mark.parametrize("missing", ["dep", "rot", "dim"])
def test_boxes_in_space_without_all_their_heads_are_boxes(missing, official_state, official_heads):
    heads = {name: count for name, count in official_heads["box3d"].items() if name != missing}
    tensors = official_state("res_18", heads)
    found = converted(tensors)
    assert found.card.tasks == {"detect": {}}
    assert f"no head {missing}, which task 'box3d' needs: boxes are decoded" in found.report
    with pytest.raises(UsageError, match=f"Task 'box3d' needs heads {missing}, which the file lacks"):
        converted(tensors, task="box3d")


def test_poses_without_keypoints_are_boxes(official_state, official_heads):
    heads = {name: count for name, count in official_heads["pose"].items() if name != "hps"}
    found = converted(official_state("res_18", heads))
    assert found.card.tasks == {"detect": {}}
    assert "no head hps, which task 'pose' needs: boxes are decoded" in found.report


@pytest.mark.parametrize("missing", ["hm_hp", "hp_offset"])
def test_poses_without_what_places_keypoints_exactly(missing, official_state, official_heads):
    """`test_keypoints.py` compares what they find with the published rules."""
    heads = {name: count for name, count in official_heads["pose"].items() if name != missing}
    found = converted(official_state("res_18", heads))
    assert list(found.card.tasks) == ["pose"] and set(found.network.output) >= {"keypoint_heatmap", "keypoint_offset"}
    assert any(line.startswith(f"no head '{missing}': ") for line in found.report)


def test_poses_of_another_skeleton(official_state):
    tensors = official_state("res_18", {"hm": 1, "wh": 2, "hps": 6, "reg": 2, "hm_hp": 3, "hp_offset": 2})
    face = Skeleton(keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
    given = {"skeleton": face, "classes": ["person"]}
    assert converted(tensors, settings=given).card.settings["pose"] == Pose(**given)
    unnamed = converted(tensors)
    assert unnamed.card.settings["pose"].skeleton.keypoints == ("keypoint1", "keypoint2", "keypoint3")
    assert any("3 keypoints, unlike any official data set" in line for line in unnamed.report)
    with pytest.raises(UsageError, match=r"model\.pth: it has 3 keypoints, but the skeleton has 17\."):
        converted(tensors, settings={"skeleton": COCO_PERSON})


def test_a_camera_of_their_own(official_state, official_heads):
    heads = {name: count for name, count in official_heads["box3d"].items() if name != "wh"}
    found = converted(official_state("res_18", heads), settings={"camera": CAMERA})
    assert found.card.settings["box3d"] == Box3d(size=False, camera=CAMERA)
    assert not any("camera of images" in line for line in found.report)


def test_every_tensor_is_accounted_for(official_state, official_heads):
    tensors = official_state("dla_34", official_heads["detect"])
    tensors["base.fc.weight"], tensors["base.fc.bias"] = np.zeros((1000, 512, 1, 1)), np.zeros(1000)
    tensors["base.base_layer.1.num_batches_tracked"] = np.int64(5)
    report = "\n".join(converted(tensors, classes=THREE).report)
    assert f"of {len(tensors)} tensors loaded" in report
    for reason in ("ImageNet classifier: base.fc.bias, base.fc.weight", "batch counter", "base.level3.project"):
        assert reason in report


def changed(name, value):
    """A change of one tensor; None takes it away."""

    def change(tensors):
        tensors = dict(tensors)
        tensors.pop(name, None)
        return tensors if value is None else {**tensors, name: value}

    return change


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda tensors: {}, {}, "not a known network"),
        (lambda tensors: {"features.0.weight": np.zeros(3)}, {}, "its 1 tensors begin with features.0.weight"),
        (changed("bn1.weight", None), {}, "1 tensors are missing: bn1.weight"),
        (changed("layer1.0.conv1.weight", np.zeros((64, 64, 1, 1))), {}, "layer1.0.conv1.weight is (64, 64, 1, 1)"),
        (changed("bn1.weight", np.full(64, np.nan)), {}, "NaN or infinite numbers in bn1.weight"),
        (changed("neck.weight", np.zeros((3, 3))), {}, "1 tensors do not belong to this network: neck.weight"),
        (
            changed("layer5.0.conv1.weight", np.zeros((2, 2, 3, 3))),
            {},
            "tensors do not belong to this network: layer5.0.conv1.weight",
        ),
        (changed("layer1.1.conv1.weight", None), {}, "a residual network with (1, 2, 2, 2) blocks in its stages"),
        (changed("rubbish.2.weight", np.zeros((2, 64, 1, 1))), {}, "unknown head 'rubbish'"),
        (changed("wh.2.weight", np.zeros((5, 64, 1, 1))), {}, "'wh' has 5 channels"),
        (changed("wh.0.weight", np.zeros((32, 256, 3, 3))), {}, "wh.2.weight is (2, 64, 1, 1), expected (2, 32, 1, 1)"),
        (
            lambda tensors: changed("wh.weight", np.zeros((2, 256, 1, 1)))(
                {name: one for name, one in tensors.items() if not name.startswith("wh.")}
            ),
            {},
            "heads without a hidden convolution, wh, beside others",
        ),
        (lambda tensors: {n: t for n, t in tensors.items() if n[:3] not in ("hm.", "wh.", "reg")}, {}, "no head 'hm'"),
        (
            lambda tensors: {n.replace("hm.", "hm_t.").replace("reg.", "reg_t."): t for n, t in tensors.items()},
            {},
            "heads hm_t find extreme points (the original's task exdet), which no task here does",
        ),
        (dict, {"classes": None}, "has 3 channels, unlike any official data set. Name the classes"),
        (dict, {"classes": ("a", "b")}, "has 3 channels, but 2 classes were given"),
        (dict, {"arch": "dla_34"}, "it is a resnet18 (res_18), not dla_34"),
        (dict, {"arch": "resnet"}, "Unknown backbone 'resnet'"),
        (dict, {"origin": "voc"}, "Unknown origin 'voc'"),
        (dict, {"task": "detekt"}, "Did you mean 'detect'?"),
        (dict, {"settings": {"skeleton": "face.yaml"}}, "model.pth: detect.skeleton: unknown setting."),
        (dict, {"size": (500, 512)}, "Try 512x512"),
    ],
)
def test_what_does_not_fit(change, options, said, official_state, official_heads):
    tensors = change(official_state("res_18", official_heads["detect"]))
    with pytest.raises(UsageError) as error:
        converted(tensors, **{"classes": THREE, **options})
    assert said in str(error.value)
