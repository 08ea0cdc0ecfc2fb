"""Masks of annotation files: as pycocotools reads them where they are right, and told where they are not."""

import numpy as np
import pytest
from pycocotools import mask as coco

from centernet_tf.properties.masks import polygons, runs
from centernet_tf.properties.property import Fault

SIZE = (20, 10)
SQUARE = [2, 1, 8, 1, 8, 7, 2, 7]
FAR = [12.5, 3, 15.5, 3, 14, 6]


@pytest.mark.parametrize("given", [None, [], [[]]])
def test_no_mask(given):
    assert polygons.read(given, SIZE) == b"" and not polygons.crosses(given)


@pytest.mark.parametrize("given", [[SQUARE], [SQUARE, FAR], [[-5, -5, 30, -5, 30, 30, -5, 30]], [[1, 1, 1, 1, 1, 1]]])
def test_polygons_as_pycocotools_fills_them(given):
    expected = coco.merge(coco.frPyObjects([[float(one) for one in part] for part in given], SIZE[1], SIZE[0]))
    data = polygons.read(given, SIZE)
    assert data == expected["counts"]
    mask = runs.pixels(runs.read_counts(data), SIZE)
    np.testing.assert_array_equal(mask, coco.decode(expected) > 0)
    assert mask.shape == (10, 20)


def test_a_square_has_the_pixels_of_its_box():
    mask = runs.pixels(runs.read_counts(polygons.read([SQUARE], SIZE)), SIZE)
    expected = np.zeros((10, 20), bool)
    expected[1:7, 2:8] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("kind", ["list", "text", "bytes"])
def test_both_kinds_of_run_lengths(kind):
    mask = np.random.default_rng(0).random((10, 20)) < 0.4
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    counts = {"list": runs.of_pixels(mask, SIZE).tolist(), "text": packed.decode(), "bytes": packed}[kind]
    assert polygons.read({"size": [10, 20], "counts": counts}, SIZE) == packed


@pytest.mark.parametrize(
    ("given", "reason", "text"),
    [
        ("2 1 8 1", "mask not readable", "has the segmentation '2 1 8 1'; expected polygons or run lengths"),
        ([2, 1, 8, 1, 8, 7], "mask not readable", "expected polygons"),
        (
            [SQUARE, [1, 2, 3, 4]],
            "mask not readable",
            "has 4 numbers, where x and y of at least 3 points are expected,",
        ),
        ([SQUARE[:-1]], "mask not readable", "has 7 numbers, where x and y of at least 3 points are expected, in poly"),
        (
            [[*SQUARE[:-1], float("nan")]],
            "mask not readable",
            "has the number nan, which is not a number, in polygon 1",
        ),
        ([[*SQUARE[:-1], None]], "mask not readable", "which are not all numbers"),
        ([[*SQUARE[:-1], True]], "mask not readable", "which are not all numbers"),
        ([[*SQUARE[:-1], 10**400]], "mask not readable", "lies more than 10 images outside, in polygon 1 of 1"),
        ([[*SQUARE[:-1], -201]], "mask not readable", "the number -201, which lies more than 10 images outside"),
        ({"size": [20, 10], "counts": [200]}, "mask of another size", "of the size [20, 10]; expected"),
        ({"counts": [200]}, "mask of another size", "of the size None"),
        ({"size": [10, 20]}, "mask not readable", "has the run lengths None"),
        ({"size": [10, 20], "counts": []}, "mask not readable", "expected whole numbers"),
        ({"size": [10, 20], "counts": [100.5, 99.5]}, "mask not readable", "expected whole numbers"),
        ({"size": [10, 20], "counts": [10**400]}, "mask not readable", "expected whole numbers"),
        ({"size": [10, 20], "counts": [100, 99]}, "run lengths do not fit the image", "runs add up to 199; expected 2"),
        ({"size": [10, 20], "counts": [300, -100]}, "run lengths do not fit the image", "run 2 of 2 is -100"),
        ({"size": [10, 20], "counts": "351"}, "run lengths do not fit the image", "runs add up to 9; expected 200"),
        ({"size": [10, 20], "counts": "3 1"}, "mask not readable", "cannot be read: character 2 of 3"),
        ({"size": [10, 20], "counts": "\ud800"}, "mask not readable", "cannot be read"),
    ],
)
def test_faults_are_told(given, reason, text):
    found = polygons.read(given, SIZE)
    assert isinstance(found, Fault) and found.reason == reason and text in found.detail


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], False),
        ({"size": [10, 20], "counts": [200]}, False),
        ([SQUARE], False),
        ([[2, 1, 8, 7, 8, 1, 2, 7]], True),  # a bow tie
        ([SQUARE, [2, 1, 8, 7, 8, 1, 2, 7]], True),
        ([SQUARE, SQUARE], False),
        ([[0, 0, 4, 0, 4, 4, 2, 0, 0, 4]], False),  # touches itself
        ([[0, 0, 4, 0, 4, 4, 2, -1, 0, 4]], True),
    ],
)
def test_outlines_that_cross_themselves(given, expected):
    assert polygons.crosses(given) == expected


def test_outlines_of_many_points():
    angles = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    circle = np.stack([10 + 4 * np.cos(angles), 5 + 4 * np.sin(angles)], axis=-1)
    assert not polygons.crosses([circle.ravel().tolist()])
    circle[[600, 900]] = circle[[900, 600]]
    assert polygons.crosses([circle.ravel().tolist()])
