"""Layers that Keras does not have. Importing this package registers them, so that saved networks can be loaded."""

from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.layers.upsampling import DepthwiseUpsample, NearestUpsample

__all__ = ["DeformableConv2D", "DepthwiseUpsample", "NearestUpsample"]
