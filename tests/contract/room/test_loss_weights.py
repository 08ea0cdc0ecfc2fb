"""Identities: a classifier and weights of the terms that are learnt with the network, and are no part of the model."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.losses import gather_cells
from centernet_tf.model.file import load_model, save_model
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.training.checkpoint import Progress, load_state, save_state

DEPTH, PEOPLE = 8, 6


class Classifier(keras.layers.Layer):
    """Cross entropy of who is who among the people of training."""

    def __init__(self):
        super().__init__(dtype="float32", name="classifier")
        self.kernel = self.add_weight(shape=(DEPTH, PEOPLE), name="kernel")
        self.bias = self.add_weight(shape=(PEOPLE,), initializer="zeros", name="bias")

    def call(self, embedding, target):
        logits = gather_cells(embedding, target["index"]) @ self.kernel + self.bias
        wrong = keras.losses.sparse_categorical_crossentropy(target["value"], logits, from_logits=True)
        return ops.sum(wrong * target["mask"]) / ops.maximum(ops.sum(target["mask"]), 1.0)


class Balance(keras.layers.Layer):
    """Boxes and identities by learnt weights (FairMOT, equation 5)."""

    def __init__(self):
        super().__init__(dtype="float32", name="balance")
        self.scales = self.add_weight(shape=(2,), initializer="zeros", name="scales")

    def call(self, terms):
        boxes = terms["heatmap"] + terms["offset"] + terms["size"]
        parts = ops.stack([boxes, terms["identity"]])
        return ops.sum(ops.exp(-self.scales) * parts + self.scales) / 2


class Identify(TaskSettings):
    def build(self, centers):
        def encode(rows, located):
            who = {"index": located["index"], "mask": ops.cast(located["boxed"], "float32")}
            return {**centers.encode(rows, located), "identity": {**who, "value": ops.maximum(rows["identities"], 0)}}

        def decode(outputs, peaks):
            looks = gather_cells(outputs["embedding"], peaks["index"])
            looks = looks / ops.maximum(ops.norm(looks, axis=-1, keepdims=True), 1e-6)
            return {**centers.decode(outputs, peaks), "embeddings": looks}

        return Task(
            name="toy",
            heads=(*centers.heads(), Head("embedding", DEPTH)),
            terms=(*centers.terms(), Term("identity", ("embedding",), Classifier())),
            encode=encode,
            decode=decode,
            fields=(*SHARED, Field("identities", "int32", (), "fixed", -1, "who it is")),
            finds=(Find("embeddings"),),
            combine=Balance(),
        )


@pytest.fixture
def truth(rows):
    """Six people, three in each of two images."""
    made = rows(SHARED, (64, 96), num_classes=2)
    identities = np.int32([[0, 1, 2, -1, -1], [3, 4, 5, -1, -1]])
    return {**made, "identities": identities}


def values(weights):
    return [ops.convert_to_numpy(weight) for weight in weights]


@pytest.mark.long
def test_what_the_loss_learns_is_kept_and_is_no_part_of_the_model(
    make_card, make_network, make_inputs, fit, truth, detect, tmp_path
):
    card = make_card(Identify)
    tasks, network = card.task_set(), make_network(card)
    classifier, balance = tasks.layers
    start = values([*classifier.weights, *balance.weights])
    trainer = fit(network, tasks, make_inputs(tasks), truth, card, terms=["identity", "heatmap"])
    after = values([*classifier.weights, *balance.weights])
    assert all((one != other).any() for one, other in zip(start, after))
    assert len(trainer.inference_weights()) == len(network.weights)

    save_model(tmp_path / "model.keras", network, card)
    names = {weight.path for weight in load_model(tmp_path / "model.keras")[0].weights}
    assert names == {weight.path for weight in network.weights} and not any("classifier" in name for name in names)
    found = detect(card, network)(np.zeros((64, 96, 3), np.uint8), threshold=0.0)
    np.testing.assert_allclose(np.linalg.norm(found.fields["embeddings"], axis=1), 1, atol=1e-4)

    save_state(tmp_path / "state.npz", trainer, Progress(12))
    other_tasks = card.task_set()
    resumed = fit(make_network(card, seed=5), other_tasks, make_inputs(tasks), truth, card, steps=2, terms=[])
    load_state(tmp_path / "state.npz", resumed)
    for one, other in zip(after, values(weight for layer in other_tasks.layers for weight in layer.weights)):
        np.testing.assert_array_equal(one, other)
    # From here on both make the same steps.
    for one in (trainer, resumed):
        one.reset_metrics()
        one.train_on_batch(make_inputs(tasks), truth)
    for one, other in zip(values(trainer.variables), values(resumed.variables)):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_total_is_what_the_task_makes_of_its_terms(make_card):
    tasks = make_card(Identify).task_set(weights={"identity": 0.5})
    losses = {
        name: ops.convert_to_tensor(number)
        for name, number in (("heatmap", 2.0), ("offset", 1.0), ("size", 10.0), ("identity", 4.0))
    }
    assert float(ops.convert_to_numpy(tasks.total(losses))) == pytest.approx((2 + 1 + 0.1 * 10 + 0.5 * 4) / 2)
    tasks.layers[1].scales.assign([np.log(2), -np.log(4)])
    expected = (4 / 2 + np.log(2) + 2 * 4 - np.log(4)) / 2
    assert float(ops.convert_to_numpy(tasks.total(losses))) == pytest.approx(expected, rel=1e-5)
