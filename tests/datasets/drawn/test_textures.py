import numpy as np
import pytest

from centernet_tf.datasets.drawn.textures import textured_ground


def test_no_texture_and_no_lines_is_one_color():
    image = textured_ground(np.random.default_rng(0), (32, 48), texture=0.0, lines=0)
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.float32
    assert np.ptp(image.reshape(-1, 3), axis=0).max() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_texture_makes_every_pattern_vary(seed):
    image = textured_ground(np.random.default_rng(seed), (64, 64), texture=0.5, lines=0)
    assert image.std(axis=(0, 1)).max() > 3
    np.testing.assert_array_equal(image, textured_ground(np.random.default_rng(seed), (64, 64), 0.5, 0))
