"""Deformable convolution, version 2, in plain array operations: nothing to compile, on every backend."""

from typing import Any

import keras
from keras import ops

TAPS = 9


@keras.saving.register_keras_serializable(package="centernet_tf")
class DeformableConv2D(keras.layers.Layer):
    """3x3 convolution whose taps move and fade by predicted offsets and masks (Deformable ConvNets v2, section 3.2).

    An ordinary 3x3 convolution predicts 27 channels: for each tap, row by row, an offset (dy, dx) in pixels, then 9
    mask logits. A sample is bilinear over its four neighbours, and a neighbour outside the image counts as zero, so
    values fade out over one pixel beyond the border. Offsets and masks start at zero: half of a plain convolution.

    Args:
        filters: Output channels F.

    Input [B, H, W, C], output [B, H, W, F]. Positions are float32 under every dtype policy.
    """

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        self.kernel = self.add_weight(shape=(3, 3, channels, self.filters), initializer=uniform, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        shape = (3, 3, channels, 3 * TAPS)
        self.offset_kernel = self.add_weight(shape=shape, initializer="zeros", name="offset_kernel")
        self.offset_bias = self.add_weight(shape=(3 * TAPS,), initializer="zeros", name="offset_bias")

    def call(self, inputs: Any) -> Any:
        moves = ops.conv(inputs, ops.cast(self.offset_kernel, inputs.dtype), padding="same")
        moves = ops.cast(moves, "float32") + ops.cast(self.offset_bias, "float32")
        base, weights, padded = self._corners(inputs, moves)
        # Both orders give the same sum; the one that gathers fewer channels is faster.
        sample = self._sample_then_multiply if inputs.shape[-1] <= self.filters else self._multiply_then_sample
        return sample(padded, base, weights) + ops.cast(self.bias, inputs.dtype)

    def _corners(self, inputs: Any, moves: Any) -> tuple[Any, list[tuple[int | Any, Any]], Any]:
        """Where each tap reads, and with what weight.

        Returns:
            base [B, H, W, 9] int32 index of the upper left neighbour in the padded, flattened image; four pairs of an
            index step from it and a weight [B, H, W, 9] float32, the mask multiplied in; the padded image
            [B, H + 4, W + 4, C].
        """
        batch, height, width, _ = ops.shape(inputs)
        taps = ops.arange(TAPS, dtype="int32")
        rows = ops.arange(height, dtype="float32")[:, None, None] + ops.cast(taps // 3 - 1, "float32")
        columns = ops.arange(width, dtype="float32")[None, :, None] + ops.cast(taps % 3 - 1, "float32")
        y = rows + moves[..., 0 : 2 * TAPS : 2]
        x = columns + moves[..., 1 : 2 * TAPS : 2]
        mask = ops.sigmoid(moves[..., 2 * TAPS :])
        top, left = ops.floor(y), ops.floor(x)
        down, right = y - top, x - left
        # Two pixels of zeros around the image hold every sample that reads nothing. Only the whole corner is clipped:
        # clipping y itself gives wrong offset gradients where it sits on the limit, as all border taps do at start.
        padded = ops.pad(inputs, ((0, 0), (2, 2), (2, 2), (0, 0)))
        row = ops.cast(ops.clip(top, -2, height), "int32") + 2
        column = ops.cast(ops.clip(left, -2, width), "int32") + 2
        image = ops.arange(batch, dtype="int32")[:, None, None, None] * ((height + 4) * (width + 4))
        base = image + row * (width + 4) + column
        weights = [
            (0, (1 - down) * (1 - right) * mask),
            (1, (1 - down) * right * mask),
            (width + 4, down * (1 - right) * mask),
            (width + 5, down * right * mask),
        ]
        return base, weights, padded

    def _sample_then_multiply(self, padded: Any, base: Any, weights: list[tuple[Any, Any]]) -> Any:
        flat = ops.reshape(padded, (-1, padded.shape[-1]))
        kernel = ops.reshape(ops.cast(self.kernel, padded.dtype), (TAPS, padded.shape[-1], self.filters))
        total = 0
        for tap in range(TAPS):
            sample = sum(
                ops.take(flat, base[..., tap] + step, axis=0) * ops.cast(weight[..., tap, None], padded.dtype)
                for step, weight in weights
            )
            total = total + ops.matmul(sample, kernel[tap])
        return total

    def _multiply_then_sample(self, padded: Any, base: Any, weights: list[tuple[Any, Any]]) -> Any:
        kernel = ops.reshape(ops.cast(self.kernel, padded.dtype), (TAPS, padded.shape[-1], self.filters))
        kernel = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (padded.shape[-1], TAPS * self.filters))
        flat = ops.reshape(ops.matmul(padded, kernel), (-1, self.filters))
        tap = ops.arange(TAPS, dtype="int32")
        return sum(
            ops.sum(
                ops.take(flat, (base + step) * TAPS + tap, axis=0) * ops.cast(weight[..., None], padded.dtype), axis=3
            )
            for step, weight in weights
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
