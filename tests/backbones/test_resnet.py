"""Our residual networks give what the official ones give on the same weights; `tests/golden/README.md` says how."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.backbones.resnet import resnet
from centernet_tf.centers import Centers
from centernet_tf.network import build_network

GOLDEN = Path(__file__).parents[1] / "golden"
HEADS = {"heatmap": "hm", "size": "wh", "offset": "reg"}

# Ours: theirs. Blocks of the trunk follow from their numbers.
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
BLOCK = {"shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1", "norm1": "bn1", "norm2": "bn2"}
STEM = {"stem_image_conv": "conv1", "stem_norm": "bn1"}
LAYERS_UP = {"deformable": 0, "deformable_norm": 1, "conv": 3, "norm": 4}  # of six; the plain neck has the last three
DEFORMABLE = {"offset_kernel": "conv_offset_mask.weight", "offset_bias": "conv_offset_mask.bias"}


def official_key(path: str, deformable: bool) -> str:
    """Key in the state dict of one of our weights, "layer/weight"."""
    *_, layer, weight = path.split("/")
    start, _, rest = layer.partition("_")
    if layer in STEM:
        layer = STEM[layer]
    elif start.startswith("stage"):
        block, _, rest = rest.partition("_")
        layer = f"layer{start[5:]}.{int(block[5:]) - 1}.{BLOCK.get(rest, rest)}"
    elif start.startswith("up"):
        layer = (
            f"deconv_layers.{(int(start[2:]) - 1) * (6 if deformable else 3) + LAYERS_UP[rest] - 3 * (not deformable)}"
        )
    else:
        layer = f"{HEADS[start]}.{2 if rest.endswith('out') else 0}"
    return f"{layer}.{NORM.get(weight) or DEFORMABLE.get(weight) or {'kernel': 'weight'}.get(weight, weight)}"


def generator(text: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")))


def parameter(key: str, shape) -> np.ndarray:
    z = generator(key).standard_normal(shape).astype(np.float32)
    fan_in = np.float32(np.prod(shape[1:]))
    if "conv_offset_mask" in key:
        return z if key.endswith("bias") else z * np.float32(0.3) / np.sqrt(fan_in)
    if z.ndim == 4:
        return z * np.sqrt(np.float32(1.6) / fan_in)
    return 1 + np.float32(0.1) * z if key.endswith("weight") else np.float32(0.1) * z


def golden_input(seed, shape) -> np.ndarray:
    random = generator(f"input:{seed}")
    fine = random.standard_normal(shape)
    coarse = random.standard_normal((shape[0], shape[1] // 16, shape[2] // 16, shape[3]))
    return (0.3 * fine + 0.7 * coarse.repeat(16, axis=1).repeat(16, axis=2)).astype(np.float32)


@pytest.mark.parametrize(("name", "official"), [("resnet18", "res_18"), ("resnet18_dcn", "resdcn_18")])
def test_equals_the_official_network(name, official):
    with np.load(GOLDEN / f"network-{official}.npz") as file:
        golden = dict(file)
    meta = json.loads(golden["meta"].tobytes())
    network = build_network(name, Centers(meta["heads"]["hm"]).heads())
    given = {key: shape for key, shape in dict(meta["keys"]).items() if not key.endswith("num_batches_tracked")}
    values, used = [], []
    for weight in network.weights:
        key = official_key(weight.path, name.endswith("_dcn"))
        value = golden[f"stat/{key}"].astype(np.float32) if f"stat/{key}" in golden else parameter(key, given[key])
        # Both kinds of kernels: transposed ones are (input, output, row, column) there and (row, column, output, input)
        # here, all others (output, input, row, column) and (row, column, input, output).
        values.append(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
        used.append(key)
    assert sorted(used) == sorted(given)
    network.set_weights(values)

    maps = network(golden_input(meta["input_seed"], tuple(meta["input_shape"])), training=False)
    for head, theirs in HEADS.items():
        (found,), expected = maps[head], golden[f"out/0/{theirs}"]
        difference = np.abs(ops.convert_to_numpy(found) - expected).max() / np.abs(expected).max()
        assert difference < 1e-3, f"{head} differs by {difference:.1e} of its largest value"


@pytest.mark.parametrize(("deformable", "channels"), [(False, 256), (True, 64)])
def test_channels_of_the_neck(deformable, channels):
    backbone = resnet({"image": 3}, 18, deformable)
    assert backbone.output["stack1"].shape == (None, None, None, channels)
