import itertools

import numpy as np
import pytest

from centernet_tf.geometry.assignment import best_pairs


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (2, 4), (4, 2), (4, 4)])
@pytest.mark.parametrize("maximize", [False, True])
def test_no_other_assignment_is_better(shape, maximize):
    values = np.random.default_rng(0).normal(size=shape)
    rows, columns = best_pairs(values, maximize)
    assert len(rows) == min(shape) and list(rows) == sorted(set(rows)) and len(set(columns)) == len(columns)
    tall = values if shape[0] >= shape[1] else values.T
    sums = [
        tall[list(order), range(tall.shape[1])].sum()
        for order in itertools.permutations(range(len(tall)), tall.shape[1])
    ]
    assert values[rows, columns].sum() == pytest.approx((max if maximize else min)(sums))


def test_a_row_that_goes_with_none():
    with pytest.raises(ValueError, match="infeasible"):
        best_pairs(np.array([[np.inf, np.inf], [1.0, 2.0]]))
