"""What one process does by itself, on one device, with the weights as they are: find objects, and measure losses."""

from collections.abc import Callable
from typing import Any

import keras

from centernet_tf.detector.detector import Detector
from centernet_tf.model.card import ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.training.devices import Devices
from centernet_tf.training.trainer import Trainer


def detector_of(trainer: Trainer, card: ModelCard) -> Detector:
    """A float32 twin with the weights as they are now, the EMA where there is one."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    network = build_network(card.backbone, trainer.tasks.heads, trainer.tasks.inputs, card.head_channels)
    keras.config.set_dtype_policy(policy)
    network.set_weights(trainer.inference_weights())
    return Detector(network, card)


class ValidationLoss(keras.callbacks.Callback):
    """The losses on the validation set where several devices train, as `fit` has them where one does.

    They are written into the epoch's logs as val_loss and the like, so it comes before the callbacks that show them.
    With parts of a batch on several devices the last batch would not be cut evenly.

    Args:
        twin: Makes a compiled trainer of another network and other layers of the loss.
        batches: As of `Feed.validation`.
        every: Epochs between measurements.
        devices: Of the run.
    """

    def __init__(self, twin: Callable[[], Trainer], batches: Any, every: int, devices: Devices):
        super().__init__()
        self.make, self.batches, self.every, self.devices = twin, batches, every, devices
        self._twin: Trainer | None = None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        _ = self.model  # Reading it brings the weights up to date on JAX.
        values = [keras.ops.convert_to_numpy(value) for value in _weights(self.model)]
        with self.devices.alone():
            self._twin = self._twin or self.make()
            for weight, value in zip(_weights(self._twin), values, strict=True):
                weight.assign(value)
            found = self._twin.evaluate(self.batches, verbose=0, return_dict=True)
        if logs is not None:
            logs |= {f"val_{name}": value for name, value in found.items()}


def _weights(trainer: Trainer) -> list[keras.Variable]:
    return [*trainer.network.weights, *(weight for layer in trainer.loss_layers for weight in layer.weights)]
