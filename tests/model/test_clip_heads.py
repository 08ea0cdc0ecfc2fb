"""Heads on what is remembered of single frames are those of the network; convolutions by fewer multiplications."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from centernet_tf.losses import whole_map
from centernet_tf.model import winograd
from centernet_tf.model.clip_heads import PREPARED, ClipHeads
from centernet_tf.model.network import build_network
from centernet_tf.points.task import Head, Input

HEADS = (
    Head("heatmap", 2, heatmap=True),
    Head("movement", 6, at_cells=True),
    Head("size", 2, per_frame=True, at_cells=True),
    Head("depth", 1, per_frame=True),
)


def numpy_of(value):
    return ops.convert_to_numpy(value)


@pytest.mark.parametrize("shape", [(1, 4, 8, 1, 1), (2, 5, 7, 3, 4), (1, 1, 1, 2, 2), (1, 12, 9, 8, 5)])
def test_fewer_multiplications_give_the_convolution(shape):
    batch, height, width, depth, count = shape
    random = np.random.default_rng(height)
    values = random.normal(size=(batch, height, width, depth)).astype(np.float32)
    kernel = random.normal(size=(3, 3, depth, count)).astype(np.float32)
    expected = numpy_of(ops.conv(values, kernel, padding="same"))
    prepared = winograd.prepared_map(ops.convert_to_tensor(values))
    for image in range(batch):
        made = winograd.convolved(prepared[image], ops.convert_to_tensor(winograd.prepared_kernel(kernel)))
        found = numpy_of(winograd.whole_again(made, (height, width)))
        np.testing.assert_allclose(found, expected[image : image + 1], atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("reduced", [0, 5])
@pytest.mark.parametrize("width", [0, 8, {"heatmap": 128, "movement": 8, "size": 4, "depth": 0}])
def test_heads_equal_the_network(width, reduced):
    told = [dataclasses.replace(head, reduced=0 if head.per_frame else reduced) for head in HEADS]
    network = build_network("tiny", told, {"image": Input(frames=(-1, 0, 1))}, width)
    random = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    clip = random.normal(size=(1, 3, 32, 48, 3)).astype(np.float32)
    whole = {name: numpy_of(maps[-1]) for name, maps in network(clip, training=False).items()}
    heads = ClipHeads(network, told, 3)
    made = heads.remembered(ops.convert_to_tensor(clip[0]))
    assert (PREPARED in made) == isinstance(width, dict)
    remembered = [{name: values[frame] for name, values in made.items()} for frame in range(3)]
    maps = heads.maps(heads.clip(remembered))
    size = maps["size"]
    if isinstance(size, dict):  # of each frame by itself
        apart = [whole_map({**size, "features": one}) for one in size["features"]]
        maps["size"] = ops.concatenate(apart, axis=-1)
    assert maps.keys() == whole.keys()
    for name, expected in whole.items():
        found = numpy_of(whole_map(maps[name]))
        np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))
