"""Deformable convolution, version 2, in plain array operations: nothing to compile, on every backend."""

from typing import Any

import keras
from keras import ops

from centernet_tf.errors import UsageError

TAPS = 9


@keras.saving.register_keras_serializable(package="centernet_tf")
class DeformableConv2D(keras.layers.Layer):
    """3x3 convolution whose taps move and fade by predicted offsets and weights (Deformable ConvNets v2, section 3.2).

    An ordinary 3x3 convolution predicts 27 channels: for each tap, row by row, an offset (dy, dx) in pixels, then 9
    mask logits. A sample is bilinear over its four neighbours, and a neighbour outside the image counts as zero, so
    values fade out over one pixel beyond the border. Offsets and logits start at zero: half of a plain convolution.

    Args:
        filters: Output channels F.
        groups: Runs of C / groups neighbouring input channels that move on their own ("deformable groups"). The
            predicted channels are then 18 * groups offsets, group by group, before 9 * groups mask logits, the order
            of torchvision's `deform_conv2d`.

    Input [B, H, W, C], output [B, H, W, F]. Positions are float32 under every dtype policy.

    Raises:
        UsageError: `groups` is not positive, or does not divide the input's channels (when the layer is built).
    """

    def __init__(self, filters: int, groups: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        if groups < 1:
            raise UsageError(f"groups is {groups}; it must be 1 or more.")
        self.filters = filters
        self.groups = groups

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if channels % self.groups:
            raise UsageError(
                f"{channels} input channels do not split into {self.groups} equal groups; choose a divisor."
            )
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        self.kernel = self.add_weight(shape=(3, 3, channels, self.filters), initializer=uniform, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        moves = 3 * TAPS * self.groups
        shape = (3, 3, channels, moves)
        self.offset_kernel = self.add_weight(shape=shape, initializer="zeros", name="offset_kernel")
        self.offset_bias = self.add_weight(shape=(moves,), initializer="zeros", name="offset_bias")

    def call(self, inputs: Any) -> Any:
        moves = ops.conv(inputs, ops.cast(self.offset_kernel, inputs.dtype), padding="same")
        moves = ops.cast(moves, "float32") + ops.cast(self.offset_bias, "float32")
        base, weights, padded = self._corners(inputs, moves)
        # Both orders give the same sum; the one that gathers fewer channels is faster. Groups would gather all filters
        # for each group.
        first = self.groups > 1 or inputs.shape[-1] <= self.filters
        sample = self._sample_then_multiply if first else self._multiply_then_sample
        output = ops.reshape(sample(padded, base, weights), (*ops.shape(inputs)[:3], self.filters))
        return output + ops.cast(self.bias, inputs.dtype)

    def _corners(self, inputs: Any, moves: Any) -> tuple[Any, list[tuple[int | Any, Any]], Any]:
        """Where each tap reads, and with what weight.

        Returns:
            base [B, H, W, 9 * groups] int32 index of the upper left neighbour among the rows of C / groups channels of
            the padded, flattened image; four pairs of an index step from it and a weight [B, H, W, 9 * groups] float32,
            the mask multiplied in; the padded image [B, H + 4, W + 4, C].
        """
        batch, height, width, _ = ops.shape(inputs)
        count = TAPS * self.groups
        taps = ops.arange(count, dtype="int32") % TAPS
        rows = ops.arange(height, dtype="float32")[:, None, None] + ops.cast(taps // 3 - 1, "float32")
        columns = ops.arange(width, dtype="float32")[None, :, None] + ops.cast(taps % 3 - 1, "float32")
        y = rows + moves[..., 0 : 2 * count : 2]
        x = columns + moves[..., 1 : 2 * count : 2]
        mask = ops.sigmoid(moves[..., 2 * count :])
        top, left = ops.floor(y), ops.floor(x)
        down, right = y - top, x - left
        # Two pixels of zeros around the image hold every sample that reads nothing. Only the whole corner is clipped:
        # clipping y itself gives wrong offset gradients where it sits on the limit, as all border taps do at start.
        padded = ops.pad(inputs, ((0, 0), (2, 2), (2, 2), (0, 0)))
        row = ops.cast(ops.clip(top, -2.0, ops.cast(height, "float32")), "int32") + 2
        column = ops.cast(ops.clip(left, -2.0, ops.cast(width, "float32")), "int32") + 2
        image = ops.arange(batch, dtype="int32")[:, None, None, None] * ((height + 4) * (width + 4))
        base = image + row * (width + 4) + column
        if self.groups > 1:
            base = base * self.groups + ops.arange(count, dtype="int32") // TAPS
        weights = [
            (0, (1 - down) * (1 - right) * mask),
            (self.groups, (1 - down) * right * mask),
            ((width + 4) * self.groups, down * (1 - right) * mask),
            ((width + 5) * self.groups, down * right * mask),
        ]
        return base, weights, padded

    def _sample_then_multiply(self, padded: Any, base: Any, weights: list[tuple[Any, Any]]) -> Any:
        """[B * H * W, F]: tap by tap, to hold the samples of one tap at a time."""
        channels = padded.shape[-1]
        flat = ops.reshape(padded, (-1, channels // self.groups))
        kernel = ops.reshape(ops.cast(self.kernel, padded.dtype), (TAPS, channels, self.filters))
        total = 0
        for tap in range(TAPS):
            own = slice(tap, None, TAPS) if self.groups > 1 else tap
            sample = sum(
                ops.take(flat, base[..., own] + step, axis=0)
                * ops.expand_dims(ops.cast(weight[..., own], padded.dtype), -1)
                for step, weight in weights
            )
            total = total + ops.matmul(ops.reshape(sample, (-1, channels)), kernel[tap])
        return total

    def _multiply_then_sample(self, padded: Any, base: Any, weights: list[tuple[Any, Any]]) -> Any:
        """[B * H * W, F]: every pixel times every tap first, then one weighted sum of 36 gathered rows a pixel."""
        channels = padded.shape[-1]
        kernel = ops.reshape(ops.cast(self.kernel, padded.dtype), (TAPS, channels, self.filters))
        kernel = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (channels, TAPS * self.filters))
        flat = ops.reshape(ops.matmul(padded, kernel), (-1, self.filters))
        tap = ops.arange(TAPS, dtype="int32")
        corners = ops.concatenate([(base + step) * TAPS + tap for step, _ in weights], axis=-1)
        shares = ops.cast(ops.concatenate([weight for _, weight in weights], axis=-1), padded.dtype)
        neighbours = ops.take(flat, ops.reshape(corners, (-1, 4 * TAPS)), axis=0)
        return ops.matmul(ops.reshape(shares, (-1, 1, 4 * TAPS)), neighbours)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}
