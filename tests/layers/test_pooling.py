"""Layers that see a whole map equal what is said of them, cell by cell."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.layers import CenterPool, FromNodes, ToNodes

SIDES = st.sampled_from([(1, 1, 1), (2, 5, 3), (1, 2, 6)])


@settings(max_examples=20, deadline=None)
@given(sides=SIDES, seed=st.integers(0, 999))
def test_center_pooling_is_pooling_to_all_four_sides(sides, seed):
    random = np.random.default_rng(seed)
    columns, rows = random.normal(size=(2, *sides, 3)).astype(np.float32)
    up = np.maximum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]  # the largest from each cell on to the bottom
    left = np.maximum.accumulate(rows[:, :, ::-1], axis=2)[:, :, ::-1]
    expected = np.maximum.accumulate(up, axis=1) + np.maximum.accumulate(left, axis=2)
    layer = CenterPool()
    np.testing.assert_allclose(ops.convert_to_numpy(layer([columns, rows])), expected, rtol=1e-6)
    assert layer.compute_output_shape([columns.shape, rows.shape]) == columns.shape


@settings(max_examples=20, deadline=None)
@given(sides=SIDES, seed=st.integers(0, 999))
def test_nodes_are_sums_over_cells(sides, seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(*sides, 4)).astype(np.float32)
    shares = random.normal(size=(*sides, 2)).astype(np.float32)
    nodes = ToNodes()([features, shares])
    np.testing.assert_allclose(ops.convert_to_numpy(nodes), np.einsum("bhwc,bhwn->bcn", features, shares), atol=1e-4)
    back = FromNodes()([ops.transpose(nodes, (0, 2, 1)), shares])
    expected = np.einsum("bcn,bhwn->bhwc", ops.convert_to_numpy(nodes), shares)
    np.testing.assert_allclose(ops.convert_to_numpy(back), expected, atol=1e-3)


@pytest.mark.parametrize("layer", [CenterPool, ToNodes, FromNodes])
def test_comes_back_from_its_config(layer):
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer())).__class__ is layer
