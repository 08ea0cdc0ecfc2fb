"""Layers that Keras does not have. Importing this package registers them, so that saved networks can be loaded."""

from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.layers.frames import FoldFrames, UnfoldFrames
from centernet_tf.layers.kernel import CellKernel
from centernet_tf.layers.pooling import CenterPool, FromNodes, ToNodes
from centernet_tf.layers.upsampling import DepthwiseUpsample, NearestUpsample

__all__ = [
    "CellKernel",
    "CenterPool",
    "DeformableConv2D",
    "DepthwiseUpsample",
    "FoldFrames",
    "FromNodes",
    "NearestUpsample",
    "ToNodes",
    "UnfoldFrames",
]
