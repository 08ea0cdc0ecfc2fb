"""One-to-one assignment of rows to columns."""

import numpy as np


def best_pairs(values: np.ndarray, maximize: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The assignment with the least sum of values, or the largest.

    SciPy's, imported once somebody assigns: its optimisers take as long to load as everything else that a program needs
    to show its help.

    Args:
        values: [N, M]; infinite where two cannot go together.
        maximize: Whether the largest sum is wanted.

    Returns:
        Rows and columns, [min(N, M)] int64 each, rows rising.

    Raises:
        ValueError: Some row or column can go with none, or a value is no number.
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(values, maximize=maximize)
