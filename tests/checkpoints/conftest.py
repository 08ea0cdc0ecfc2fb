"""State dicts and inputs of the golden archives, made again by their rule; see `tests/golden/README.md`."""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.backbones import BACKBONES

FOLDER = Path(__file__).parents[1] / "golden"


def generator(text):
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")))


def parameter(key, shape):
    """Weights by the rule; statistics are in the archives."""
    z = generator(key).standard_normal(shape).astype(np.float32)
    if "conv_offset_mask" in key and key.endswith("bias"):
        return z
    if z.ndim < 2:
        return 1 + np.float32(0.1) * z if key.endswith("weight") else np.float32(0.1) * z
    fan_in = np.float32(np.prod(shape[1:]))
    if "conv_offset_mask" in key:
        return z * np.float32(0.3) / np.sqrt(fan_in)
    return z * np.sqrt(np.float32(1.6) / fan_in)


def image(seed, shape):
    random = generator(f"input:{seed}")
    fine = random.standard_normal(shape)
    coarse = random.standard_normal((shape[0], shape[1] // 16, shape[2] // 16, shape[3]))
    return (0.3 * fine + 0.7 * coarse.repeat(16, axis=1).repeat(16, axis=2)).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _read(arch):
    with np.load(FOLDER / f"network-{arch}.npz") as file:
        arrays = dict(file)
    meta = json.loads(arrays.pop("meta").tobytes())
    tensors = {}
    for key, shape in dict(meta["keys"]).items():
        if key.endswith("num_batches_tracked"):
            tensors[key] = np.int64(1)
        elif f"stat/{key}" in arrays:
            tensors[key] = arrays[f"stat/{key}"].astype(np.float32)
        else:
            tensors[key] = parameter(key, tuple(shape))
    shape = tuple(meta["input_shape"])
    meta["image"] = image(meta["input_seed"], shape if len(shape) == 4 else (*shape, 3))
    maps = {tuple(name.split("/")[1:]): value for name, value in arrays.items() if name.startswith("out/")}
    for value in tensors.values():
        value.setflags(write=False)  # Tests share them.
    return meta, tensors, maps


def read(arch):
    """Millions of numbers are drawn for each, so those of the last network are kept."""
    meta, tensors, maps = _read(arch)
    return dict(meta), dict(tensors), dict(maps)


def further_inputs(meta):
    """What the runs of a tracking network are given beside the image, by the archive's names."""
    seed, (count, height, width, _) = meta["input_seed"], meta["image"].shape
    coarse = generator(f"prior:{seed}").standard_normal((count, height // 8, width // 8, 1))
    prior = coarse.repeat(8, axis=1).repeat(8, axis=2).clip(0, 1).astype(np.float32)
    before = image(seed + 500, meta["image"].shape)
    return {"image": meta["image"], "pre_img": before, "pre_hm": prior, "zeros": np.zeros_like(prior)}


# Channels of the heads of each official task, here with few classes.
TASKS = {
    "detect": {"hm": 3, "wh": 2, "reg": 2},
    "pose": {"hm": 1, "wh": 2, "hps": 34, "reg": 2, "hm_hp": 17, "hp_offset": 2},
    "box3d": {"hm": 3, "dep": 1, "rot": 8, "dim": 3, "wh": 2, "reg": 2},
}


def state(arch, heads, width=None):
    """Tensors as a file of this network with these heads has them, by the rule of the archives.

    Args:
        arch: Official name.
        heads: {official name: channels}.
        width: Of the hidden convolutions; the official one if left out, 0 for none.
    """
    meta, tensors, _ = read(arch)
    stacked = arch == "hourglass"
    if width is None:
        width = 256 if stacked else meta["head_conv"]  # The hourglass ignores the option.
    features = {"hourglass": 256, "res": 256}.get(arch.split("_")[0], 64)
    tensors = {name: value for name, value in tensors.items() if name.split(".")[0] not in meta["heads"]}
    for head, channels in heads.items():
        for stack in range(meta["stacks"]):
            hidden, last = (f"{head}.{stack}.0.conv", f"{head}.{stack}.1") if stacked else (f"{head}.0", f"{head}.2")
            shapes = {hidden: (width, features, 3, 3), last: (channels, width, 1, 1)}
            for name, shape in shapes.items() if width else [(head, (channels, features, 1, 1))]:
                tensors[f"{name}.weight"] = parameter(f"{name}.weight", shape)
                tensors[f"{name}.bias"] = parameter(f"{name}.bias", shape[:1])
    return tensors


@pytest.fixture(scope="session")
def official_state():
    """`state`: tensors of a file of any official network and task."""
    return state


@pytest.fixture(scope="session")
def official_heads():
    """{task: {official head: channels}}."""
    return TASKS


@pytest.fixture(scope="module")
def one_trunk():
    """Networks of res_18 have one trunk: building it takes half of a conversion, which gives it its weights anew.

    For modules that look at one such network at a time.
    """
    entry, made = BACKBONES["resnet18"], {}

    def build(inputs):
        key = tuple(inputs.items())
        if key not in made:
            made[key] = entry.build(inputs)
        return made[key]

    BACKBONES["resnet18"] = dataclasses.replace(entry, build=build)
    yield
    BACKBONES["resnet18"] = entry


@pytest.fixture(scope="session")
def golden_inputs():
    """`further_inputs`."""
    return further_inputs


@pytest.fixture(scope="session")
def golden():
    """Official name -> meta with the input as "image", state dict, {(stack, head): map}."""
    return read
