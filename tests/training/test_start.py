import keras
import numpy as np
import pytest

from centernet_tf.checkpoints.families import FAMILIES
from centernet_tf.checkpoints.heads import head_modules, head_names
from centernet_tf.checkpoints.weights import official_names, our_layout
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.action import Action
from centernet_tf.training.start import start_from, start_from_checkpoint, widened


def network(channels=3, head="heatmap", stem="stem"):
    image = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, name=stem)(image)
    return keras.Model(image, keras.layers.Conv2D(channels, 1, name=head)(features))


def weights(model, layer):
    return model.get_layer(layer).get_weights()


def test_everything_fits(spot_card):
    new, old = network(), network()
    assert start_from(new, old, spot_card, "old.keras") == "old.keras: 4 of 4 weights loaded."
    for one, other in zip(new.get_weights(), old.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_other_classes_start_from_scratch(spot_card):
    new, old = network(5), network(3)
    start = weights(new, "heatmap")
    assert start_from(new, old, spot_card, "old.keras") == (
        "old.keras: 2 of 4 weights loaded. Start from scratch: heatmap/kernel, heatmap/bias. "
        "Left out: heatmap/kernel, heatmap/bias."
    )
    np.testing.assert_array_equal(weights(new, "stem")[0], weights(old, "stem")[0])
    np.testing.assert_array_equal(weights(new, "heatmap")[0], start[0])


def test_new_and_dropped_heads(spot_card):
    said = start_from(network(head="depth"), network(), spot_card, "old.keras")
    assert "Start from scratch: depth/kernel, depth/bias." in said
    assert "Left out: heatmap/kernel, heatmap/bias." in said


def test_a_stem_of_images_starts_one_of_several_pictures():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    wide = widened(kernel, (3, 3, 15, 4), "stem_image_conv/kernel")
    assert wide.shape == (3, 3, 15, 4)
    for channel in range(15):
        np.testing.assert_allclose(wide[:, :, channel], kernel.mean(axis=2), rtol=1e-6)
    for shape, path in (
        ((3, 3, 3, 4), "stem_image_conv/kernel"),
        ((3, 3, 15, 4), "level0/kernel"),
        ((9,), "stem_image"),
    ):
        assert widened(kernel, shape, path) is kernel


def their_layout(value, path):
    """Ours of `our_layout`."""
    orders = ((3, 2, 0, 1), (2, 3, 0, 1)) if value.ndim == 4 else (tuple(range(value.ndim)),)
    made = (value.transpose(order) for order in orders)
    return np.ascontiguousarray(next(one for one in made if np.array_equal(our_layout(one, path), value)))


def action_network(backbone, **task):
    tasks = build_tasks({"action": Action(frames=3, **task)}, Centers(3))
    return build_network(backbone, tasks.heads, tasks.inputs)


def check_started(new, start, old, said):
    """That trunk and size head are those of a detector, and nothing else."""
    theirs = {weight.path: np.array(weight) for weight in old.weights}
    for weight in new.weights:
        taken = not weight.path.startswith(("heatmap", "movement"))
        expected = theirs[weight.path] if taken else start[weight.path]
        np.testing.assert_array_equal(np.array(weight), expected, err_msg=weight.path)
    count = sum(not path.startswith(("heatmap", "movement")) for path in start)
    assert f"{count} of {len(start)} weights loaded." in said
    scratch, left = said.split("Start from scratch: ")[1].split("Left out: ")
    for name in ("heatmap", "movement"):
        assert f"{name}_stack1_conv/kernel" in scratch
    return left


def test_tubelets_start_from_a_detector(spot_card):
    """Of a head that sees other features nothing is taken, not even a last layer that would fit."""
    new, old = action_network("tiny"), build_network("tiny", Centers(3).heads())
    start = {weight.path: np.array(weight) for weight in new.weights}
    left = check_started(new, start, old, start_from(new, old, spot_card, "old.keras"))
    assert all(f"{name}_stack1_" in left for name in ("heatmap", "offset"))


def test_tubelets_start_from_an_official_detector(tmp_path):
    torch = pytest.importorskip("torch", reason="writing checkpoints needs the extra [torch]")
    family, name = FAMILIES[1], "dla34"
    new, old = action_network(name), build_network(name, Centers(3).heads())
    heads = official_names(old, head_modules(head_names(), 1, family.stacked, False))
    names = official_names(old, family.modules(name)) | heads
    state = {names[one.path]: torch.tensor(their_layout(np.array(one), one.path)) for one in old.weights}
    torch.save(state, tmp_path / "ctdet.pth")
    start = {weight.path: np.array(weight) for weight in new.weights}
    left = check_started(new, start, old, start_from_checkpoint(new, name, tmp_path / "ctdet.pth"))
    assert all(f"{name}.0.weight" in left for name in ("hm", "reg"))


def test_nothing_fits(spot_card):
    new = network(stem="trunk", head="depth")
    before = new.get_weights()
    with pytest.raises(UsageError) as error:
        start_from(new, network(), spot_card, "old.keras")
    assert str(error.value) == (
        "old.keras: none of its weights fit this network; it is a mobilenetv2_fpn. Set backbone: mobilenetv2_fpn."
    )
    for one, other in zip(before, new.get_weights()):
        np.testing.assert_array_equal(one, other)


def trunk_file(tmp_path, name, changes=()):
    """An ImageNet trunk as torchvision or the authors of DLA give it away, with a classifier."""
    torch = pytest.importorskip("torch", reason="writing checkpoints needs the extra [torch]")
    network = build_network(name, Centers(3).heads())
    family = FAMILIES[name.startswith("dla")]
    names = official_names(network, family.modules(name))
    neck = ("deconv_layers", "dla_up", "ida_up")
    state = {
        names[weight.path].removeprefix(family.trunk): torch.tensor(
            np.full(tuple(weight.shape), 0.5, np.float32)
        ).permute((3, 2, 0, 1) if len(weight.shape) == 4 else (0,))
        for weight in network.weights
        if weight.path in names and not names[weight.path].startswith(neck)
    }
    state["fc.weight"], state["fc.bias"] = torch.ones(1000, 512), torch.ones(1000)
    state.update(changes)
    torch.save(state, tmp_path / "trunk.pth")
    return tmp_path / "trunk.pth", len(state) - 2


@pytest.mark.parametrize(
    "name",
    [
        "resnet18_fpn",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("dla34", "resnet18", "resnet18_dcn", "dla34_dcn")),
    ],
)
def test_a_trunk_from_imagenet(name, tmp_path):
    path, count = trunk_file(tmp_path, name)
    network = build_network(name, Centers(3).heads())
    before = {weight.path: np.array(weight) for weight in network.weights}
    said = start_from_checkpoint(network, name, path)
    assert said.startswith(f"{path}: {count} of {len(network.weights)} weights loaded. Start from scratch: ")
    assert "fc.weight" in said
    changed = [weight for weight in network.weights if not np.array_equal(np.array(weight), before[weight.path])]
    assert len(changed) == count
    for weight in changed:
        assert weight.path.split("/")[-2].startswith(("stem", "stage", "level"))
        assert (np.array(weight) == 0.5).all()


@pytest.mark.parametrize(
    ("file", "own", "said"),
    [
        ("resnet18", "dla34", "weights of a resnet18 do not fit a dla34. Set backbone: resnet18."),
        pytest.param("resnet34", "resnet50", "weights of a resnet34 do not fit a resnet50", marks=pytest.mark.long),
        pytest.param("resnet18", "resnet34", "weights of a resnet18 do not fit a resnet34", marks=pytest.mark.long),
        pytest.param("dla34", "resnet18", "weights of a dla34 do not fit a resnet18", marks=pytest.mark.long),
    ],
)
def test_a_trunk_of_another_network(file, own, said, tmp_path):
    path, _ = trunk_file(tmp_path, file)
    network = build_network(own, Centers(3).heads())
    before = network.get_weights()
    with pytest.raises(UsageError) as error:
        start_from_checkpoint(network, own, path)
    assert said in str(error.value)
    for one, other in zip(before, network.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_trunk_with_another_shape(tmp_path):
    torch = pytest.importorskip("torch", reason="writing checkpoints needs the extra [torch]")
    path, _ = trunk_file(tmp_path, "resnet18", {"conv1.weight": torch.ones(64, 1, 7, 7)})
    network = build_network("resnet18", Centers(3).heads())
    with pytest.raises(UsageError, match=r"do not fit a resnet18: conv1.weight is \(64, 1, 7, 7\), expected"):
        start_from_checkpoint(network, "resnet18", path)
