"""What holds for every backbone in the table."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.backbones import BACKBONES, find_backbone, own_name
from centernet_tf.errors import UsageError
from centernet_tf.model.network import CONTEXT, STACK, build_network
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import TASKS, build_tasks

# Larger networks of the same blocks are `long`, and `release`, too, where others of these stand for them. JAX compiles
# each network for a minute: there, one of those with published weights, in checkpoints/test_golden.py, is enough.
ENDS = ("", "_dcn", "_fpn")
MARKS = {f"resnet{depth}{end}": [pytest.mark.long] for depth in (34, 50, 101, 152) for end in ENDS}
MARKS |= {
    name: [pytest.mark.long]
    for name in (
        "hourglass104",
        "resnet18",
        "resnet18_fpn",
        "dla34",
        "dla34_dcn",
        "mobilenetv2_dla",
        "mobilenetv2_fpn",
        "mobilenetv3_fpn",
    )
}
MARKS |= {name: [pytest.mark.long] for name in BACKBONES if name.startswith(("dla34_dcn_", "hourglass104_"))}
LARGEST = [f"resnet{depth}{end}" for depth in (34, 101, 152) for end in ENDS]
LARGEST += ["dla34_dcn_3level", "dla34_dcn_glob", "dla34_dcn_3level_glob", "hourglass104_pooled"]
# Their blocks are those of resnet50, resnet18_dcn, dla34_dcn and narrower ones.
LARGEST += ["resnet18", "resnet50_dcn", "resnet50_fpn", "dla34", "mobilenetv3_fpn", "mobilenetv2_fpn:0.5"]
MARKS |= {name: [pytest.mark.long, pytest.mark.release] for name in LARGEST}
MARKS |= {"keras_application:MobileNet": [pytest.mark.long]}  # tested in backbones/test_application.py, too
SMALLEST = ("mobilenetv3_fpn:0.35", "resnet18_dcn")  # of those with every layer of ours but pooling
QUICK = ("resnet18_dcn", "mobilenetv3_fpn:0.35")
MARKS |= {name: [pytest.mark.slow] for name in QUICK}
PLAIN = [name for name, entry in BACKBONES.items() if entry.build and name != "tiny"]  # that of the tests
VARIANTS = ["mobilenetv2_fpn:0.5", "mobilenetv3_fpn:0.35", "keras_application:MobileNet"]
every_backbone = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, [])) for name in [*PLAIN, *VARIANTS]]
)

# Trainable parameters with the heads of 80 classes, counted in the official code.
OFFICIAL_PARAMETERS = {
    "res_18": 15_820_372,
    "res_34": 25_928_532,
    "res_50": 34_443_348,
    "res_101": 53_435_476,
    "res_152": 69_079_124,
    "resdcn_18": 14_437_349,
    "resdcn_34": 24_545_509,
    "resdcn_50": 30_681_061,
    "resdcn_101": 49_673_189,
    "resdcn_152": 65_316_837,
    "dlav0_34": 17_961_476,
    "dla_34": 19_675_892,
    "hourglass": 191_284_008,
    "mobilenet": 2_620_924,  # with heads of width 64
}
# Variants whose further map heads of interactions alone read; see tests/checkpoints/test_interactions.py.
CONTEXTS = ("dla3level_34", "dlaglob_34", "dla3levelglob_34")
# Of these, those that cannot change the output, which we leave out: in DLA-34 two projections, 64 to 128 and 128 to 256
# channels, with a normalisation each.
DEAD_PARAMETERS = dict.fromkeys(("dlav0_34", "dla_34"), (64 * 128 + 2 * 128) + (128 * 256 + 2 * 256))


@functools.cache
def network_of(name):
    keras.utils.set_random_seed(0)
    return build_network(name, Centers(80).heads())


@functools.cache
def maps_of_noise(name):
    """What a fresh network answers in its first step; once for all tests, for JAX takes seconds to compile a shape.

    Where nothing was trained, the statistics that normalise otherwise are none, and deep networks answer large numbers.
    """
    stride = find_backbone(name).stride
    noise = np.random.default_rng(0).normal(size=(1, stride, 2 * stride, 3)).astype("float32")
    maps = network_of(name)(noise, training=True)
    return {head: [ops.convert_to_numpy(stack) for stack in stacks] for head, stacks in maps.items()}


@every_backbone
def test_maps_are_a_quarter_of_the_input(name):
    stride, maps = find_backbone(name).stride, maps_of_noise(name)
    stacks = len(maps["heatmap"])
    assert stacks >= 1
    for head in Centers(80).heads():
        shape = (1, stride // STRIDE, 2 * stride // STRIDE, head.channels)
        assert [stack.shape for stack in maps[head.name]] == [shape] * stacks
        assert all(np.isfinite(stack).all() for stack in maps[head.name])


@every_backbone
def test_a_fresh_network_believes_in_nothing(name):
    """Each cell starts near probability 0.1, so that empty cells do not drown the first steps."""
    logits = maps_of_noise(name)["heatmap"][-1]
    assert 0.05 < 1 / (1 + np.exp(-np.median(logits))) < 0.2


@every_backbone
def test_names_are_unique_and_sizes_free(name):
    network = network_of(name)
    paths = [weight.path for weight in network.weights]
    assert len(set(paths)) == len(paths)
    assert network.inputs[0].shape == (None, None, None, 3)


@every_backbone
def test_further_inputs_cost_one_stem_each(name):
    build = find_backbone(name).build
    several, single = build({"image": 3, "previous": 3, "prior": 1}), build({"image": 3})
    assert [tensor.name for tensor in several.inputs] == ["image", "previous", "prior"]
    stacks = [output for output in single.output if not output.startswith(CONTEXT)]
    assert list(several.output) == list(single.output)
    assert stacks == [f"{STACK}{n + 1}" for n in range(len(stacks))]
    shapes = {weight.path: tuple(weight.shape) for weight in single.weights}
    added = {w.path: tuple(w.shape) for w in several.weights if w.path not in shapes}
    assert shapes.items() <= {w.path: tuple(w.shape) for w in several.weights}.items()
    kernels = {path: shape for path, shape in added.items() if len(shape) == 4}
    assert sorted(shape[2] for shape in kernels.values()) == [1, 3], added
    # A stem may have a normalisation of its own.
    filters = {shape[3] for shape in kernels.values()}
    assert all(path.split("/")[-2].startswith("stem_") for path in added), added
    assert {shape for path, shape in added.items() if path not in kernels} <= {(count,) for count in filters}, added


@every_backbone
def test_parameters_are_as_many_as_officially(name):
    official = find_backbone(name).official
    if not official:
        pytest.skip("not in the official code")
    if official in CONTEXTS:
        pytest.skip("their heads are those of interactions: tests/checkpoints/test_interactions.py")
    count = sum(int(np.prod(weight.shape)) for weight in network_of(name).trainable_weights)
    assert count == OFFICIAL_PARAMETERS[official] - DEAD_PARAMETERS.get(official, 0)


@pytest.mark.parametrize("name", PLAIN)
def test_official_names_are_known(name):
    assert find_backbone(name) is BACKBONES[name]
    if official := BACKBONES[name].official:
        assert official not in BACKBONES
        assert own_name(official) == name
        assert find_backbone(official) is BACKBONES[name]


@pytest.mark.parametrize("name", ["", "resnet18_dcm", "resdcn_8"])
def test_unknown_backbone(name):
    with pytest.raises(UsageError) as error:
        find_backbone(name)
    assert str(error.value).startswith(f"Unknown backbone {name!r}.")
    assert str(error.value).endswith(f"Known: {', '.join(BACKBONES)}.")
    if name:
        assert " Did you mean 'res" in str(error.value)


TAKERS = "mobilenetv2_fpn:WIDTH, mobilenetv3_fpn:WIDTH, keras_application:NAME"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            (
                f"mobilenetv2_fpn:{width}",
                f"{width!r} is not a valid width. Expected a number above 0 and up to 4, such as 0.5.",
            )
            for width in ("", "small", "0", "-0.5", "4.01", "1e9", "nan", "inf", "0.5:0.5")
        ),
        ("resnet18:2", f"resnet18 takes no argument after a colon. Write resnet18. These do: {TAKERS}."),
        ("res_18:", f"res_18 takes no argument after a colon. Write res_18. These do: {TAKERS}."),
    ],
)
def test_wrong_arguments(name, text):
    with pytest.raises(UsageError) as error:
        find_backbone(name)
    assert str(error.value) == f"{name}: {text}"


def test_unknown_backbone_with_an_argument():
    with pytest.raises(UsageError) as error:
        find_backbone("mobilenetv2_pfn:0.5")
    assert str(error.value).startswith(
        "Unknown backbone 'mobilenetv2_pfn:0.5'. Did you mean 'mobilenetv2_fpn'? Known: "
    )


def test_an_argument_changes_its_field_alone():
    entry, variant = BACKBONES["mobilenetv2_fpn"], find_backbone("mobilenetv2_fpn:0.5")
    assert variant.build.keywords == {"width": 0.5}
    assert (variant.stride, variant.head_channels) == (entry.stride, entry.head_channels)
    assert find_backbone("mobilenetv2_fpn:4").build.keywords == {"width": 4}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="on the JAX backend XLA compiles everything")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long, *([] if name in SMALLEST else [pytest.mark.release])])
        for name in [*PLAIN, *VARIANTS]
    ],
)
def test_xla_compiles_a_step(name):
    """As training on a GPU has it: not every operation of TensorFlow has a gradient there."""
    import tensorflow as tf

    heads = build_tasks({"hoi": TASKS["hoi"](verbs=("rides",))}, Centers(2)).heads  # which read every map there is
    network = build_network(name, heads)
    side = find_backbone(name).stride

    @tf.function(jit_compile=True)
    def gradients(images):
        with tf.GradientTape() as tape:
            total = sum(ops.mean(one) for maps in network(images, training=True).values() for one in maps)
        return tape.gradient(total, [weight.value for weight in network.trainable_weights])

    found = gradients(tf.random.stateless_normal((2, side, side, 3), [0, 1]))
    assert len(found) == len(network.trainable_weights) and not any(one is None for one in found)
