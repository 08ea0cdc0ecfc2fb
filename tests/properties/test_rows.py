"""Choosing objects keeps everything that belongs to them, and the pairs among them."""

import numpy as np
import pytest

from centernet_tf.properties.fields import Field
from centernet_tf.properties.rows import select

FIELDS = (
    Field("hue", "float32", (), "fixed", 0.0, "an angle"),
    Field("parent", "int32", (), "fixed", -1, "another object", refers=True),
    Field("view", "float32", (2,), "fixed", 0.0, "of the image", level="image"),
    Field("links", "int32", (2,), "fixed", -1, "two objects", level="pair", refers=True),
    Field("verbs", "int32", (), "fixed", -1, "what joins them", level="pair"),
)
ROWS = {
    "hue": np.float32([0, 1, 2, 3]),
    "parent": np.int32([-1, 0, 3, 1]),
    "view": np.float32([7, 8]),
    "links": np.int32([[0, 1], [3, 2], [1, 3]]),
    "verbs": np.int32([5, 6, 7]),
}


@pytest.mark.parametrize(
    ("index", "hue", "parent", "links", "verbs"),
    [
        ([], [], [], np.zeros((0, 2)), []),
        ([0, 1, 2, 3], [0, 1, 2, 3], [-1, 0, 3, 1], [[0, 1], [3, 2], [1, 3]], [5, 6, 7]),
        ([3, 1], [3, 1], [1, -1], [[1, 0]], [7]),
        ([2], [2], [-1], np.zeros((0, 2)), []),
    ],
)
def test_objects_and_pairs_fit_each_other(index, hue, parent, links, verbs):
    chosen = select(ROWS, FIELDS, np.array(index, int), 4)
    expected = {"hue": hue, "parent": parent, "view": [7, 8], "links": links, "verbs": verbs}
    assert set(chosen) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(chosen[name], values, err_msg=name)
        assert chosen[name].dtype == ROWS[name].dtype


def test_an_image_without_objects():
    rows = {"hue": np.zeros(0, np.float32), "links": np.zeros((0, 2), np.int32)}
    chosen = select(rows, FIELDS, np.zeros(0, int), 0)
    assert chosen["hue"].shape == (0,)
    assert chosen["links"].shape == (0, 2)


@pytest.mark.parametrize(
    ("index", "links", "verbs"),
    [([], np.zeros((0, 2)), []), ([0, 1, 2], [[0, 1], [2, -1]], [5, 6]), ([2, 0], [[0, -1]], [6]), ([1], [], [])],
)
def test_a_pair_may_have_no_object_and_empty_rows_are_none(index, links, verbs):
    rows = {"links": np.int32([[0, 1], [2, -1], [-1, -1]]), "verbs": np.int32([5, 6, -1])}
    chosen = select(rows, FIELDS, np.array(index, int), 3)
    np.testing.assert_array_equal(chosen["links"], np.reshape(links, (-1, 2)))
    np.testing.assert_array_equal(chosen["verbs"], verbs)
