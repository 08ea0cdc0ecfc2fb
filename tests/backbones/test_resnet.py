import pytest

from centernet_tf.backbones.resnet import BLOCKS, resnet
from centernet_tf.checkpoints.resnet import modules


@pytest.mark.parametrize(("deformable", "channels"), [(False, 256), (True, 64)])
def test_channels_of_the_neck(deformable, channels):
    backbone = resnet({"image": 3}, 18, deformable)
    assert backbone.output["stack1"].shape == (None, None, None, channels)


@pytest.mark.parametrize("deformable", [False, True])
@pytest.mark.parametrize("depth", BLOCKS)
def test_every_layer_with_weights_has_an_official_name(depth, deformable):
    layers = {layer.name for layer in resnet({"image": 3}, depth, deformable).layers if layer.weights}
    known = modules(f"resnet{depth}{'_dcn' if deformable else ''}")
    assert layers <= set(known)
    assert len({known[name] for name in layers}) == len(layers)
