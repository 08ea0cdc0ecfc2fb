"""The one model that trains every task: pixels in, the tasks' losses out, everything else left to `model.fit`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.losses import batch_sum
from centernet_tf.model.cells import at_cells
from centernet_tf.model.network import as_argument
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task_set import TaskSet
from centernet_tf.training import fused_norm, read_order


class Trainer(keras.Model):
    """Wraps a network for training.

    Targets are rendered inside the step, on the device, from padded rows of objects. The EMA of the network's weights,
    where wanted, is kept here as weights of its own that the step updates, so that it is saved, resumed and compiled
    like everything else; Keras' own would replace the raw weights at the end of `fit`. Layers of the loss that own
    weights are trained and saved for resuming with the network's, but are neither part of it nor averaged.

    Args:
        network: From normalised images to {head: [map per stack]}.
        tasks: What to train.
        normalization: The network's.
        size: Height and width of its input in pixels.
        ema: Decay of the EMA; 0 keeps none. It starts lower and grows as (1 + step) / (10 + step).
        sizes: Further heights and widths that whole batches may have.
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: TaskSet,
        normalization: preprocess.Normalization,
        size: tuple[int, int],
        ema: float = 0.0,
        sizes: Sequence[tuple[int, int]] = (),
    ):
        super().__init__(name="trainer", dtype="float32")  # Another policy would cast pixels and fits to 16 bits.
        fused_norm.fuse(network)
        self.network = network
        self._at_cells = at_cells(network, tasks.heads)
        self.tasks = tasks
        self.normalization = normalization
        self.size = size
        self.sizes = tuple(sorted({size, *sizes}))
        self.ema = ema
        self.loss_layers = list(tasks.layers)  # Keras trains and saves what it finds as an attribute.
        if self.loss_layers:
            read_order.keep()
        for layer in self.loss_layers:  # Only training needs their weights, which may be larger than the network's.
            if not layer.built:
                layer.build(None)
        self._trackers = [keras.metrics.Mean(name=f"{term.name}_loss") for term in tasks.terms]
        self._trackers.append(keras.metrics.Mean(name="center_score"))
        self._ema_weights: list[keras.Variable] = []
        if ema:
            for weight in network.weights:
                copy = self.add_weight(shape=weight.shape, dtype="float32", trainable=False, name="ema")
                copy.assign(ops.copy(weight))  # JAX would share the buffer, and a step gives its buffers away.
                self._ema_weights.append(copy)
            self._ema_step = self.add_weight(shape=(), dtype="float32", initializer="zeros", trainable=False)
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> dict[str, list[Any]]:
        """Batches of inputs to raw maps.

        Args:
            inputs: As `data.pipeline.Feed` makes them: "image" and every further input that shows images, [B, H, W, 3]
                or clips [B, T, H, W, 3]; "color" [B, 6] and, where the device warps, "fit" [B, 4], the same for all
                images and frames; "rows" {field: [B, N, ...]} and "valid" among them, in pixels of the network's input,
                where a task draws an input.
        """
        shown = {
            name: wanted.draw(inputs["rows"], self.size) if wanted.draw else self._prepare(inputs[name], inputs)
            for name, wanted in self.tasks.inputs.items()
        }
        return self._at_cells(as_argument(shown), training=training)

    def _prepare(self, images: Any, inputs: Mapping[str, Any]) -> Any:
        """Fits, recolours and normalises images [B, H, W, 3], or every frame of clips [B, T, H, W, 3] alike."""
        fit, color = inputs.get("fit"), inputs["color"]
        frames = images.shape[1] if len(images.shape) == 5 else None
        if frames:
            images = ops.reshape(images, (-1, *ops.shape(images)[2:]))
            color = ops.repeat(color, frames, axis=0)
            fit = None if fit is None else ops.repeat(fit, frames, axis=0)
        images = ops.cast(images, "float32")
        if fit is not None:
            images = preprocess.warp(images, fit, self.size)
        images = preprocess.recolor(images / 255.0, color)
        images = preprocess.normalize(images, self.normalization)
        return ops.reshape(images, (-1, frames, *ops.shape(images)[1:])) if frames else images

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Weighted sum of the tasks' terms; each is tracked under its own name."""
        del x, sample_weight
        heatmap = y_pred["heatmap"][-1]
        targets = self._encode(y, heatmap)
        values = self.tasks.losses(y_pred, targets)
        for tracker, value in zip(self._trackers, values.values()):
            tracker.update_state(value)
        centers = ops.cast(ops.equal(targets["heatmap"]["heatmap"], 1.0), "float32")
        # How sure the network is where an object truly is. It stays near zero when training has not taken off.
        count = batch_sum(centers)
        score = batch_sum(centers * ops.sigmoid(heatmap)) / ops.maximum(count, 1.0)
        self._trackers[-1].update_state(score, sample_weight=count)
        if training and self._ema_weights:
            self._update_ema()
        return self.tasks.total(values)

    def _encode(self, rows: Mapping[str, Any], heatmap: Any) -> dict[str, Any]:
        """Targets on the grid of this heatmap; where it is known in the step alone, one way for each size there is."""
        if None not in heatmap.shape[1:3]:
            return self.tasks.encode(rows, tuple(heatmap.shape[1:3]))
        grids = [tuple(side // STRIDE for side in size) for size in self.sizes]
        ways = [functools.partial(self.tasks.encode, grid=grid) for grid in grids]
        same = ops.all(ops.equal(ops.stack(ops.shape(heatmap)[1:3]), grids), axis=-1)
        return ops.switch(ops.argmax(ops.cast(same, "int32")), ways, rows)

    def _update_ema(self) -> None:
        """Takes in the weights as they are before this step's update, with the statistics they made in it."""
        step = self._ema_step.value
        keep = ops.minimum(self.ema, (1 + step) / (10 + step))
        for copy, weight in zip(self._ema_weights, self.network.weights):
            value = ops.stop_gradient(ops.cast(weight.value, "float32"))
            copy.assign(keep * copy.value + (1 - keep) * value)
        self._ema_step.assign(step + 1)

    def inference_weights(self) -> list[np.ndarray]:
        """Weights to use outside training: the EMA where there is one, else the raw ones."""
        return [ops.convert_to_numpy(weight) for weight in self._ema_weights or self.network.weights]
