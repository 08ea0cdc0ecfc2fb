"""Upsampling that Keras does not have: a depthwise transposed convolution, a start of dense ones, one for phones."""

from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf.errors import UsageError


def bilinear_kernel(factor: int) -> np.ndarray:
    """Weights with which `DepthwiseUpsample` interpolates linearly.

    Args:
        factor: How many times larger the output is, even.

    Returns:
        [2f, 2f] float32: a pyramid, such as 0.25, 0.75, 0.75, 0.25 along each side for a factor of 2.
    """
    slope = 1 - np.abs((np.arange(2 * factor) + 0.5) / factor - 1)
    return np.outer(slope, slope).astype(np.float32)


@keras.saving.register_keras_serializable(package="centernet_tf")
class FirstBilinear(keras.initializers.Initializer):
    """Start of a dense transposed convolution, kernel 2f, stride f, by which the original's deformable ResNets start.

    Output channel 0 interpolates the sum of all input channels; the others start by chance. The original's code is
    meant for one group for each channel, as `DepthwiseUpsample` has, but here there is one group in all.

    Args:
        others: Start of the channels other than 0.
    """

    def __init__(self, others: keras.initializers.Initializer):
        self.others = others

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """[2f, 2f, output channels, input channels]."""
        start = self.others(shape, dtype)
        pyramid = bilinear_kernel(shape[0] // 2)[..., None, None]
        first = ops.convert_to_tensor(np.broadcast_to(pyramid, (*shape[:2], 1, shape[3])), start.dtype)
        return ops.concatenate([first, start[:, :, 1:]], axis=2)

    def get_config(self) -> dict[str, Any]:
        return {"others": keras.initializers.serialize(self.others)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FirstBilinear":
        return cls(keras.initializers.deserialize(config["others"]))


@keras.saving.register_keras_serializable(package="centernet_tf")
class DepthwiseUpsample(keras.layers.Layer):
    """Makes a map `factor` times larger, each channel by a kernel of its own that starts bilinear and trains.

    A transposed convolution of kernel 2f, stride f and padding f / 2, with as many groups as channels and no bias (Deep
    Layer Aggregation, section 3.3). The kernel is [2f, 2f, 1, C].

    Each pixel of the output sums four of the input, so four shifted images times a tile of weights, f x f, make all of
    it. Measured on two CPU cores, 64 x 64 x 64, factor 2, forward and with gradients: 1.3 and 10 ms compiled by XLA, 6
    and 56 ms as a plain graph; a depthwise convolution followed by depth to space takes 53 and 60 (up to seconds in one
    piece), 3 and 16; a dense transposed convolution with a diagonal kernel 9 and 31, 5 and 13, and C times the
    arithmetic. What is slower here is little beside the convolutions around it.

    Args:
        factor: Even, at least 2.

    Input [B, H, W, C], output [B, f H, f W, C].

    Raises:
        UsageError: The factor is odd or below 2.
    """

    def __init__(self, factor: int, **kwargs: Any):
        super().__init__(**kwargs)
        if factor < 2 or factor % 2:
            raise UsageError(f"DepthwiseUpsample: factor {factor!r} is not an even number from 2 on. Try 2 or 4.")
        self.factor = factor

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        start = bilinear_kernel(self.factor)[..., None, None]
        self.kernel = self.add_weight(
            shape=(2 * self.factor, 2 * self.factor, 1, input_shape[-1]),
            initializer=lambda shape, dtype: ops.convert_to_tensor(np.broadcast_to(start, shape), dtype),
            name="kernel",
        )

    def call(self, inputs: Any) -> Any:
        factor, channels = self.factor, inputs.shape[-1]
        batch, height, width, _ = ops.shape(inputs)
        padded = ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
        # Along a side: weight q of the first half meets the pixel itself, weight q + f the pixel before it.
        tiles = ops.reshape(ops.cast(self.kernel, inputs.dtype), (2, factor, 2, factor, channels))
        total = 0
        for up, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
            image = padded[:, 1 - up : height + 2 - up, 1 - left : width + 2 - left]
            # Five dimensions: kernels of TensorFlow and of LiteRT do not broadcast over more.
            image = ops.reshape(image, (batch * (height + 1), 1, width + 1, 1, channels))
            total = total + image * tiles[up, :, left][:, None]
        total = ops.reshape(total, (batch, (height + 1) * factor, (width + 1) * factor, channels))
        edge = factor // 2
        return total[:, edge:-edge, edge:-edge]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        return (batch, *(None if side is None else self.factor * side for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="centernet_tf")
class NearestUpsample(keras.layers.Layer):
    """Repeats every pixel twice along both sides.

    What `keras.layers.UpSampling2D` does in copies of the whole map, one resize operator does here, which every runtime
    and delegate of phones takes. XLA has no gradient of it on TensorFlow, so training repeats.

    Input [B, H, W, C], output [B, 2H, 2W, C].
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        _, height, width, _ = ops.shape(inputs)
        if training or not (isinstance(height, int) and isinstance(width, int)):
            # Keras resizes to sides that are known before it runs; files for images of any size have none.
            return ops.repeat(ops.repeat(inputs, 2, axis=1), 2, axis=2)
        return ops.image.resize(inputs, (2 * height, 2 * width), interpolation="nearest")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        return (batch, *(None if side is None else 2 * side for side in sides), channels)
