"""What images bring beside their pixels: one for all or one for each, checked, usual where nothing is given."""

import numpy as np
import pytest

from centernet_tf.detector.extras import complete, moved, spread
from centernet_tf.errors import UsageError
from centernet_tf.points.task import Extra


def positive(values):
    if (np.array(values) <= 0).any():
        raise ValueError(f"a lens has positive numbers, got {values}")
    return values


LENS = Extra("lens", (2,), usual=(5.0, 6.0), check=positive, meaning="focal lengths in pixels")
TILT = Extra("tilt", (), fit=lambda values, matrix: values * matrix[0, 0], meaning="angle of the horizon")
KNOWN = (LENS, TILT)


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({}, [{}, {}]),
        ({"lens": [1, 2]}, [{"lens": [1, 2]}, {"lens": [1, 2]}]),
        ({"lens": np.array([1, 2])}, [{"lens": [1, 2]}, {"lens": [1, 2]}]),
        ({"lens": [[1, 2], [3, 4]]}, [{"lens": [1, 2]}, {"lens": [3, 4]}]),
        ({"lens": np.array([[1, 2], [3, 4]])}, [{"lens": [1, 2]}, {"lens": [3, 4]}]),
        ({"lens": [None, [3, 4]]}, [{"lens": None}, {"lens": [3, 4]}]),
        ({"lens": None}, [{"lens": None}, {"lens": None}]),
        ({"tilt": 0.5}, [{"tilt": 0.5}, {"tilt": 0.5}]),
        ({"tilt": (0.5, 0.6), "lens": [1, 2]}, [{"tilt": 0.5, "lens": [1, 2]}, {"tilt": 0.6, "lens": [1, 2]}]),
    ],
)
def test_one_for_all_or_one_for_each(given, rows):
    plain = lambda value: value.tolist() if isinstance(value, np.ndarray) else value  # noqa: E731
    assert [{name: plain(value) for name, value in row.items()} for row in spread(given, KNOWN, 2)] == rows


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lens": [[1, 2]]}, "1 values of lens for 2 images. Give one for each image, or one for all."),
        ({"tilt": [1, 2, 3]}, "3 values of tilt for 2 images"),
        ({"lense": [1, 2]}, "Unknown 'lense'. Did you mean 'lens'? This model takes lens, tilt beside images."),
    ],
)
def test_what_cannot_be_spread(given, said):
    with pytest.raises(UsageError) as error:
        spread(given, KNOWN, 2)
    assert said in str(error.value)


def test_the_usual_one_stands_in():
    for given in ({"tilt": 1}, {"tilt": 1, "lens": None}):
        made = complete(given, KNOWN)
        assert made["lens"].tolist() == [5, 6] and made["tilt"].tolist() == 1
        assert all(value.dtype == np.float32 for value in made.values())
    assert complete({"tilt": 1, "lens": [1, 2]}, KNOWN)["lens"].tolist() == [1, 2]
    assert complete({}, ()) == {}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, UsageError, "needs tilt of each image, its file has no usual one, and none is given for an image"),
        ({"tilt": 1, "lenses": 3}, UsageError, "Unknown 'lenses'"),
        ({"tilt": 1, "lens": [0, 1]}, ValueError, "a lens has positive numbers"),
        ({"tilt": 1, "lens": [1, 1, 1]}, ValueError, "lens has shape (3,), expected (2,): focal lengths in pixels."),
    ],
)
def test_what_is_refused(given, error, said):
    with pytest.raises(error) as raised:
        complete(given, KNOWN)
    assert said in str(raised.value)


def test_only_those_that_move_move():
    matrix = np.array([[3, 0, 1], [0, 3, 2]])
    values = {"lens": np.array([[1, 2]]), "tilt": np.array([0.5])}
    made = moved(values, KNOWN, matrix)
    assert made["lens"].tolist() == [[1, 2]] and made["tilt"].tolist() == [1.5]
