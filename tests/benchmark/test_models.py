"""The benchmark of a model times every step, in the order in which a runner does them."""

from centernet_tf.benchmark import models
from centernet_tf.media.draw import save_image


def test_steps_sum_up(spot_model, draw_spots, tmp_path):
    save_image(tmp_path / "a.png", draw_spots(96, 64, (30, 40, 0)))
    found = models.measure(spot_model, [tmp_path / "a.png"], rounds=2)
    assert all(found[step] > 0 for step in models.STEPS)
    assert max(found[step] for step in models.STEPS) <= found["median"] <= found["p95"]
    assert found["size"] == spot_model.stat().st_size / 1e6
