import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.points.task import Input
from centernet_tf.training.checkpoint import Progress, load_state, save_state
from centernet_tf.training.trainer import Trainer

SIZE = (32, 64)  # of the batches that `make_batch` makes


def weights_of(trainer):
    return [ops.convert_to_numpy(weight).astype(np.float64) for weight in trainer.network.weights]


def losses_of(trainer, batch):
    """Value of every tracked number over one batch, without training on it."""
    return {name: float(value) for name, value in trainer.test_on_batch(*batch, return_dict=True).items()}


def test_terms_are_tracked_by_name_and_add_up(make_trainer, make_batch):
    found = make_trainer(weights={"size": 0.25}).train_on_batch(*make_batch(), return_dict=True)
    assert set(found) == {"loss", "heatmap_loss", "offset_loss", "size_loss", "center_score"}
    total = found["heatmap_loss"] + found["offset_loss"] + 0.25 * found["size_loss"]
    assert found["loss"] == pytest.approx(total, rel=1e-5)
    assert 0 < found["center_score"] < 1


def test_without_objects(make_trainer, make_batch):
    trainer = make_trainer(ema=0.9)
    found = trainer.train_on_batch(*make_batch(objects=0), return_dict=True)
    assert np.isfinite(list(found.values())).all()
    assert found["offset_loss"] == found["size_loss"] == found["center_score"] == 0
    assert all(np.isfinite(weight).all() for weight in weights_of(trainer))


def test_center_score_is_the_mean_over_the_centres(make_trainer, make_batch):
    trainer, batch = make_trainer(), make_batch(objects=2)
    outputs = trainer(batch[0], training=False)
    heatmap = ops.convert_to_numpy(ops.sigmoid(outputs["heatmap"][-1]))
    centers = (batch[1]["boxes"][:, :2, :2] + batch[1]["boxes"][:, :2, 2:]) / 8
    x, y = centers.astype(int)[..., 0], centers.astype(int)[..., 1]
    expected = [heatmap[image, y[image], x[image], batch[1]["classes"][image, :2]] for image in range(2)]
    assert losses_of(trainer, batch)["center_score"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_step_learns(make_trainer, make_batch):
    """Compiled, as training does it."""
    trainer, batch = make_trainer(), make_batch()
    trainer.run_eagerly = False
    before = losses_of(trainer, batch)["loss"]
    for _ in range(20):
        trainer.train_on_batch(*batch)
    trainer.reset_metrics()
    assert losses_of(trainer, batch)["loss"] < before


def test_stacks_share_the_loss(make_trainer, make_batch):
    trainer, batch = make_trainer(stacks=2), make_batch()
    assert {name: len(maps) for name, maps in trainer.network.output.items()} == dict.fromkeys(
        ("heatmap", "offset", "size"), 2
    )
    found = losses_of(trainer, batch)
    single = make_trainer()
    expected = []
    for stack in (0, 1):
        for layer in single.network.layers:
            name = layer.name.replace("_0", f"_{stack}")
            layer.set_weights(trainer.network.get_layer(name).get_weights())
        single.reset_metrics()
        expected.append(losses_of(single, batch))
    for name in ("loss", "heatmap_loss", "offset_loss", "size_loss"):
        assert found[name] == pytest.approx((expected[0][name] + expected[1][name]) / 2, rel=1e-5)
    assert found["center_score"] == pytest.approx(expected[1]["center_score"], rel=1e-5), "the last stack's"


def test_ema_equals_its_formula(make_trainer, make_batch):
    trainer = make_trainer(ema=0.3, rate=0.1)
    expected = weights_of(trainer)
    for step in range(6):
        before = weights_of(trainer)
        trainer.train_on_batch(*make_batch(step))
        keep = min(0.3, (1 + step) / (10 + step))
        # What the step trains counts as it was before, with the statistics that those weights made in the step.
        new = [b if w.trainable else a for w, b, a in zip(trainer.network.weights, before, weights_of(trainer))]
        expected = [keep * old + (1 - keep) * now for old, now in zip(expected, new)]
    found = trainer.inference_weights()
    for weight, one, other in zip(trainer.network.weights, found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=weight.path)
    assert not np.allclose(found[0], weights_of(trainer)[0])
    trainer.test_on_batch(*make_batch())
    for one, other in zip(found, trainer.inference_weights()):
        np.testing.assert_array_equal(one, other, err_msg="evaluation changed the EMA")


def test_without_ema_the_weights_themselves_count(make_trainer, make_batch):
    trainer = make_trainer()
    trainer.train_on_batch(*make_batch())
    for one, other in zip(trainer.inference_weights(), weights_of(trainer)):
        np.testing.assert_array_equal(one, other)


def test_the_device_warps_as_the_host_does(make_trainer, make_batch):
    trainer, (inputs, rows) = make_trainer(), make_batch()
    whole = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    fit = np.float32([[0.5, 0.5, 3, 1], [-0.7, 0.7, 60, -4]])
    here = ops.convert_to_numpy(preprocess.warp(whole, fit, (32, 64)))
    one = losses_of(trainer, ({**inputs, "image": here}, rows))
    trainer.reset_metrics()
    other = losses_of(trainer, ({**inputs, "image": whole, "fit": fit}, rows))
    assert one == pytest.approx(other, rel=1e-5)


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def test_sixteen_bits_stay_near_thirty_two(make_trainer, make_batch, bfloat16):
    del bfloat16
    trainer = make_trainer(ema=0.9)
    assert trainer.network.get_layer("stem").compute_dtype == "bfloat16"
    assert {keras.backend.standardize_dtype(maps[0].dtype) for maps in trainer.network.output.values()} == {"float32"}
    found = [trainer.train_on_batch(*make_batch(seed), return_dict=True) for seed in range(3)]
    assert np.isfinite([list(step.values()) for step in found]).all()
    assert {weight.dtype for weight in trainer.inference_weights()} == {np.dtype("float32")}
    keras.config.set_dtype_policy("float32")
    exact = {
        name: float(value) for name, value in make_trainer().train_on_batch(*make_batch(0), return_dict=True).items()
    }
    assert {name: float(value) for name, value in found[0].items()} == pytest.approx(exact, rel=0.02)


def test_each_number_is_tracked_once(make_trainer):
    names = [metric.name for metric in make_trainer().metrics]
    assert names == ["loss", "heatmap_loss", "offset_loss", "size_loss", "center_score"]


def make_network(heads, images):
    """One cell for four pixels of all inputs together."""
    whole = keras.layers.Concatenate()(list(images.values())) if len(images) > 1 else next(iter(images.values()))
    features = keras.layers.Conv2D(4, 4, 4, name="stem")(whole)
    outputs = {head.name: [keras.layers.Conv2D(head.channels, 1, name=head.name)(features)] for head in heads}
    return keras.Model(images if len(images) > 1 else whole, outputs)


def drawn(rows, size):
    """[B, H, W, 1]: how far each pixel lies from the first object's left side, for valid ones."""
    x = ops.arange(size[1], dtype="float32")[None, None, :, None]
    left, valid = rows["boxes"][:, 0, 0], ops.cast(rows["valid"][:, 0], "float32")
    lines = ops.abs(x - left[:, None, None, None]) * valid[:, None, None, None]
    return ops.broadcast_to(lines, (ops.shape(left)[0], *size, 1))


@pytest.fixture
def three_inputs(make_trainer):
    """A trainer of two images and a map that is drawn, and its maps for a batch as a function."""
    tasks = make_trainer().tasks
    inputs = {"image": Input(), "previous": Input(frames=(-1,)), "prior": Input(channels=1, draw=drawn)}
    tasks = dataclasses.replace(tasks, tasks=(dataclasses.replace(tasks.tasks[0], inputs=inputs),))
    images = {name: keras.Input((None, None, one.channels), name=name) for name, one in inputs.items()}
    return Trainer(make_network(tasks.heads, images), tasks, preprocess.Normalization(), SIZE)


@pytest.mark.parametrize("fitted", [False, True])
def test_every_input_of_images_is_prepared_alike_and_others_are_drawn(three_inputs, make_batch, fitted):
    (one, rows), (other, _) = make_batch(0), make_batch(1)
    more = {"fit": np.float32([[0.5, 0.5, 3, 1], [-0.7, 0.7, 60, -4]])} if fitted else {}
    color = np.random.default_rng(3).uniform(0.5, 1, (2, 6)).astype(np.float32)
    before = {"boxes": rows["boxes"][::-1], "valid": rows["valid"]}
    given = {"image": one["image"], "previous": other["image"], "color": color, "rows": before, **more}
    found = three_inputs(given)["heatmap"][0]

    def prepared(image):
        image = np.float32(image)
        image = preprocess.warp(image, more["fit"], SIZE) if fitted else image
        return preprocess.normalize(preprocess.recolor(image / 255, color), three_inputs.normalization)

    shown = {"image": prepared(one["image"]), "previous": prepared(other["image"]), "prior": drawn(before, SIZE)}
    expected = three_inputs.network(shown)["heatmap"][0]
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(expected), atol=1e-5)


def test_frames_of_a_clip_are_prepared_as_images(make_trainer, make_batch):
    """The network folds clips; here it shows only the frames side by side."""
    trainer = make_trainer()
    clips = np.stack([make_batch(seed)[0]["image"] for seed in range(3)], axis=1)
    color = np.random.default_rng(3).uniform(0.5, 1, (2, 6)).astype(np.float32)
    fit = np.float32([[0.5, 0.5, 3, 1], [-0.7, 0.7, 60, -4]])
    seen = []
    trainer._at_cells = lambda images, training: seen.append(images)
    trainer.call({"image": clips, "color": color, "fit": fit})
    for frame in range(3):
        trainer.call({"image": clips[:, frame], "color": color, "fit": fit})
    whole, *frames = (ops.convert_to_numpy(one) for one in seen)
    np.testing.assert_array_equal(whole, np.stack(frames, axis=1))


@keras.saving.register_keras_serializable(package="test")
class Learned(keras.layers.Layer):
    """The sum of the terms by learned weights (Multi-Task Learning Using Uncertainty)."""

    def __init__(self, names):
        super().__init__(dtype="float32")
        self.scales = {name: self.add_weight(shape=(), initializer="zeros", name=name) for name in names}

    def call(self, terms):
        return sum(ops.exp(-self.scales[name]) * value + self.scales[name] for name, value in terms.items())


@pytest.fixture
def learned_trainer(make_trainer):
    """A trainer whose terms are weighed by what it learns."""

    def make(ema=0.0):
        plain = make_trainer(ema=ema)
        way = Learned([term.name for term in plain.tasks.terms])
        tasks = dataclasses.replace(plain.tasks, tasks=(dataclasses.replace(plain.tasks.tasks[0], combine=way),))
        trainer = Trainer(plain.network, tasks, plain.normalization, SIZE, ema)
        trainer.compile(
            keras.optimizers.SGD(0.1), loss=None, run_eagerly=plain.run_eagerly, jit_compile=plain.jit_compile
        )
        trainer.optimizer.build(trainer.trainable_variables)
        return trainer, way

    return make


def test_weights_of_the_loss_are_trained(learned_trainer, make_batch):
    trainer, way = learned_trainer()
    found = {name: float(value) for name, value in trainer.train_on_batch(*make_batch(), return_dict=True).items()}
    weighted = {"heatmap": 1, "offset": 1, "size": 0.1}
    assert found["loss"] == pytest.approx(
        sum(found[f"{name}_loss"] * part for name, part in weighted.items()), rel=1e-5
    )
    for name, part in weighted.items():
        # d/ds of exp(-s) L + s at s = 0 is 1 - L.
        expected = 0.1 * (part * found[f"{name}_loss"] - 1)
        assert float(ops.convert_to_numpy(way.scales[name])) == pytest.approx(expected, rel=1e-4)


def test_weights_of_the_loss_are_kept_but_are_no_part_of_the_model(learned_trainer, make_batch, tmp_path):
    trainer, way = learned_trainer(ema=0.9)
    for seed in range(3):
        trainer.train_on_batch(*make_batch(seed))
    assert len(trainer.inference_weights()) == len(trainer.network.weights)
    assert not {id(weight) for weight in way.weights} & {id(weight) for weight in trainer.network.weights}
    save_state(tmp_path / "state.npz", trainer, Progress(3))
    again, other = learned_trainer(ema=0.9)
    assert not any(other.get_weights())
    load_state(tmp_path / "state.npz", again)
    for one, two in zip(way.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(one, two)
    for one in (trainer, again):
        one.reset_metrics()
    assert losses_of(again, make_batch(4)) == pytest.approx(losses_of(trainer, make_batch(4)), rel=1e-6)
    first, second = (one.train_on_batch(*make_batch(4), return_dict=True) for one in (trainer, again))
    assert {name: float(value) for name, value in first.items()} == pytest.approx(
        {name: float(value) for name, value in second.items()}, rel=1e-5
    )
    for one, two in zip(trainer.variables, again.variables):
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(two), rtol=1e-5, atol=1e-6)
