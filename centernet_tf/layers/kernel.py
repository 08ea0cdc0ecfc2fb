"""The last layer of a head whose map is never made: its weights as outputs of the network."""

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="centernet_tf")
class CellKernel(keras.layers.Layer):
    """Kernel and bias of a 1x1 convolution that is left to whoever reads single cells, see `losses.gather_cells`.

    The weights are those of a `Conv2D`, [1, 1, C, D] and [D], so that whatever loads weights knows no difference.

    Args:
        filters: Channels of the map that is not made, D.
        kernel_initializer: As of `Conv2D`.
        bias_initializer: Likewise.

    Input [B, h, w, C], of which only the depth is looked at; outputs [C, D] and [D].
    """

    def __init__(self, filters: int, kernel_initializer: Any, bias_initializer: Any, **kwargs: Any):
        # The map would be converted to this layer's type for nothing.
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Shape) -> None:
        shape = (1, 1, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer=self.bias_initializer, name="bias")

    def call(self, features: Any) -> tuple[Any, Any]:
        return ops.reshape(self.kernel, (features.shape[-1], self.filters)), ops.convert_to_tensor(self.bias)

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        return (input_shape[-1], self.filters), (self.filters,)

    def get_config(self) -> dict[str, Any]:
        initializers = {
            name: keras.initializers.serialize(getattr(self, name))
            for name in ("kernel_initializer", "bias_initializer")
        }
        return {**super().get_config(), "filters": self.filters, **initializers}
