import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess


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
    trainer = make_trainer(average=0.9)
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
    trainer, batch = make_trainer(), make_batch()
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


def test_moving_average_equals_its_formula(make_trainer, make_batch):
    trainer = make_trainer(average=0.3, rate=0.1)
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
        np.testing.assert_array_equal(one, other, err_msg="evaluation changed the average")


def test_without_average_the_weights_themselves_count(make_trainer, make_batch):
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
    trainer = make_trainer(average=0.9)
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
