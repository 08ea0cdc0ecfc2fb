"""Converted networks answer what the official ones answer on the same weights."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.state_dict import StateDict

LIMIT = 1e-3
ARCHIVES = ("res_18", "res_50", "res_101", "resdcn_18", "resdcn_101", "dla_34", "dlav0_34", "hourglass")


# On JAX, which compiles each for seconds, one is enough: its layers are those of the others.
QUICK = ("resdcn_18",)
# Deeper networks of the same blocks, those of blocks that others have, and DLA-34, which trackers have, too.
MORE = ("res_50", "dla_34", "dlav0_34", "hourglass")


DEEPEST = ("res_101", "resdcn_101")


def _marks(arch):
    if arch in DEEPEST:
        return [pytest.mark.long, pytest.mark.release]
    return pytest.mark.long if arch in MORE else () if arch in QUICK else pytest.mark.slow


@pytest.mark.parametrize("arch", [pytest.param(arch, marks=_marks(arch)) for arch in ARCHIVES])
def test_equals_the_official_network(arch, golden):
    meta, tensors, maps = golden(arch)
    converted = convert_tensors(StateDict(tensors), arch, classes=("one", "two", "three"), arch=arch)
    found = converted.network(meta["image"], training=False)
    assert {(str(stack), head) for head in meta["heads"] for stack in range(meta["stacks"])} == set(maps)
    names = head_names()
    assert all(len(found[names[head]]) == meta["stacks"] for head in meta["heads"])
    for (stack, head), expected in maps.items():
        ours = ops.convert_to_numpy(found[names[head]][int(stack)])
        difference = np.abs(ours - expected).max() / np.abs(expected).max()
        assert difference < LIMIT, f"{head} of stack {stack} differs by {difference:.1e} of its largest value"
