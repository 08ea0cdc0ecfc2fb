"""The one model that trains every task: pixels in, the tasks' losses out, everything else left to `model.fit`."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.task import TaskSet


class Trainer(keras.Model):
    """Wraps a network for training.

    Targets are rendered inside the step, on the device, from padded rows of objects. The moving average of the
    weights, where wanted, is kept here as weights of its own that the step updates, so that it is saved, resumed and
    compiled like everything else; Keras' own would replace the raw weights at the end of `fit`.

    Args:
        network: From normalised images to {head: [map per stack]}.
        tasks: What to train.
        normalization: The network's.
        size: Height and width of its input in pixels.
        average: Decay of the moving average; 0 keeps none. It starts lower and grows as (1 + step) / (10 + step).
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: TaskSet,
        normalization: preprocess.Normalization,
        size: tuple[int, int],
        average: float = 0.0,
    ):
        super().__init__(name="trainer", dtype="float32")  # Another policy would cast pixels and fits to 16 bits.
        self.network = network
        self.tasks = tasks
        self.normalization = normalization
        self.size = size
        self.average = average
        self._trackers = [keras.metrics.Mean(name=f"{term.name}_loss") for term in tasks.terms]
        self._trackers.append(keras.metrics.Mean(name="center_score"))
        self._averages: list[keras.Variable] = []
        if average:
            for weight in network.weights:
                copy = self.add_weight(shape=weight.shape, dtype="float32", trainable=False, name="average")
                copy.assign(ops.copy(weight))  # JAX would share the buffer, and a step gives its buffers away.
                self._averages.append(copy)
            self._average_step = self.add_weight(shape=(), dtype="float32", initializer="zeros", trainable=False)
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> dict[str, list[Any]]:
        """Inputs as `data.pipeline.Feed` makes them; raw maps out."""
        image = ops.cast(inputs["image"], "float32")
        if "fit" in inputs:
            image = preprocess.warp(image, inputs["fit"], self.size)
        image = preprocess.recolor(image / 255.0, inputs["color"])
        return self.network(preprocess.normalize(image, self.normalization), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Weighted sum of the tasks' terms; each is tracked under its own name."""
        del x, sample_weight
        heatmap = y_pred["heatmap"][-1]
        targets = self.tasks.encode(y, tuple(heatmap.shape[1:3]))
        values = self.tasks.losses(y_pred, targets)
        for tracker, value in zip(self._trackers, values.values()):
            tracker.update_state(value)
        centers = ops.cast(ops.equal(targets["heatmap"]["heatmap"], 1.0), "float32")
        # How sure the network is where an object truly is. It stays near zero when training has not taken off.
        score = ops.sum(centers * ops.sigmoid(heatmap)) / ops.maximum(ops.sum(centers), 1.0)
        self._trackers[-1].update_state(score, sample_weight=ops.sum(centers))
        if training and self._averages:
            self._move_average()
        return self.tasks.total(values)

    def _move_average(self) -> None:
        """Takes in the weights as they are before this step's update, with the statistics they made in it."""
        step = self._average_step.value
        keep = ops.minimum(self.average, (1 + step) / (10 + step))
        for copy, weight in zip(self._averages, self.network.weights):
            value = ops.stop_gradient(ops.cast(weight.value, "float32"))
            copy.assign(keep * copy.value + (1 - keep) * value)
        self._average_step.assign(step + 1)

    def inference_weights(self) -> list[np.ndarray]:
        """Weights to use outside training: the moving average where there is one, else the raw ones."""
        return [ops.convert_to_numpy(weight) for weight in self._averages or self.network.weights]
