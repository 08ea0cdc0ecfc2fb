"""Telling identities apart: a classifier over them, and weights of the two losses that are learned with the network.

FairMOT (Zhang et al., 2021), sections 4.2 and 4.3, and the official code's `MotLoss`. What is learned here is trained
and saved for resuming, and no part of the model: only the embedding is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf.losses import batch_sum, gather_cells

TERM = "identity"
FAR = -1e9  # logit of identities that are of another class
LEAST = 1e-12  # length of an embedding that is not divided by its own, as in PyTorch's `normalize`
# Starts of the logarithms that weigh detection and identities.
START = (-1.85, -1.05)


def unit(vectors: Any) -> Any:
    """Vectors [..., D] of length 1; those of no length stay."""
    vectors = ops.cast(vectors, "float32")
    square = ops.sum(vectors * vectors, axis=-1, keepdims=True)
    return vectors / ops.sqrt(ops.maximum(square, LEAST**2))


def scale_of(count: int) -> float:
    """What embeddings of length 1 are multiplied with before `count` identities are told apart: sqrt(2) ln(count - 1).

    Of fewer than three identities, as of three: the formula has no value there, or none above 0.
    """
    return float(np.sqrt(2) * np.log(max(count, 3) - 1))


@keras.saving.register_keras_serializable(package="centernet_tf")
class Classifier(keras.layers.Layer):
    """Who an embedding belongs to, of those of its class: one linear layer, and the cross-entropy of its answer.

    Args:
        counts: Identities of each class.
        depth: Length of embeddings.
    """

    def __init__(self, counts: Sequence[int], depth: int, **kwargs: Any):
        super().__init__(dtype="float32", **{"name": "identities", **kwargs})
        self.counts, self.depth = tuple(counts), depth

    def build(self, input_shape: Any = None) -> None:
        total, bound = sum(self.counts), 1 / np.sqrt(self.depth)
        start = keras.initializers.RandomUniform(-bound, bound)
        self.kernel = self.add_weight(shape=(self.depth, total), initializer=start, name="kernel")
        self.bias = self.add_weight(shape=(total,), initializer=start, name="bias")

    def call(self, values: Any, target: Mapping[str, Any]) -> Any:
        """The loss.

        Args:
            values: [B, h, w, D], or what `losses.gather_cells` takes instead.
            target: "index" [B, N] int32 cells; "classes" [B, N] int32; "identities" [B, N] int32, numbers from 0, those
                of a class behind those of the one before, -1 for those that are not known or not trained.

        Returns:
            Scalar: mean over the objects whose identity is known; exactly 0, without gradient, where there are none.
        """
        classes, identities = target["classes"], target["identities"]
        counts = np.array(self.counts, np.int32)
        last = np.cumsum(counts).astype(np.int32)
        sorts = ops.clip(classes, 0, len(counts) - 1)
        # Whoever is seen as of another class than its identity's is nobody.
        own = ops.logical_and(identities >= ops.take(last - counts, sorts), identities < ops.take(last, sorts))
        known = ops.logical_and(ops.logical_and(identities >= 0, classes >= 0), own)
        classes = ops.where(known, classes, 0)
        scales = np.float32([scale_of(count) for count in counts])
        embedding = unit(gather_cells(values, target["index"])) * ops.take(scales, classes)[..., None]
        logits = self._logits(embedding, classes)
        wanted = ops.where(known, identities, 0)
        picked = ops.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]
        # A row of nobody would be as far from its class' logits as `FAR`.
        errors = ops.where(known, ops.logsumexp(logits, axis=-1) - picked, 0.0)
        return batch_sum(errors) / ops.maximum(batch_sum(ops.cast(known, "float32")), 1.0)

    def _logits(self, embedding: Any, classes: Any) -> Any:
        """[B, N, identities], those of other classes far below all others."""
        batch, count, depth = ops.shape(embedding)
        logits = ops.matmul(ops.reshape(embedding, (batch * count, depth)), self.kernel) + self.bias
        logits = ops.reshape(logits, (batch, count, sum(self.counts)))
        if len(self.counts) == 1:
            return logits
        owner = np.repeat(np.arange(len(self.counts)), self.counts).astype(np.int32)
        return ops.where(ops.equal(classes[..., None], owner), logits, FAR)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "counts": self.counts, "depth": self.depth}


@keras.saving.register_keras_serializable(package="centernet_tf")
class LearnedWeights(keras.layers.Layer):
    """Detection and identities, each as loud as its own noise allows (Kendall et al., 2018).

    (exp(-d) D + d + exp(-i) I + i) / 2, with d and i learned. A batch in which nobody is known (I exactly 0) says
    nothing of i: its part is left out, so that i has no gradient. In the original it is not a number from there on.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(dtype="float32", **{"name": "loss_weights", **kwargs})

    def build(self, input_shape: Any = None) -> None:
        self.detection, self.identity = (
            self.add_weight(shape=(), initializer=keras.initializers.Constant(start), name=name)
            for name, start in zip(("detection", "identity"), START)
        )

    def call(self, terms: Mapping[str, Any]) -> Any:
        """{term: weighted value} -> the scalar that trains."""
        detection = sum(value for name, value in terms.items() if name != TERM)
        identity = terms[TERM]
        told = ops.exp(-self.identity) * identity + self.identity
        told = ops.where(identity > 0, told, 0.0)
        return 0.5 * (ops.exp(-self.detection) * detection + self.detection + told)
