import numpy as np
import pytest

from centernet_tf.inspect.boxes import count_shared, count_twins, faults, to_cells

NONE = np.zeros((0, 4))


def test_no_boxes():
    assert {name: len(mask) for name, mask in faults(NONE, 10, 10).items()} == dict.fromkeys(
        ("unfinite_box", "empty_box", "outside_box", "edge_box"), 0
    )
    assert count_twins(NONE, np.zeros(0, int)) == 0
    assert to_cells(NONE, 10, 10, (64, 64)).shape == (0, 4)
    assert count_shared(NONE, np.zeros(0, int)) == (0, 0)


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((0, 0, 100, 50), None),
        ((-0.4, 0, 100.4, 50), None),
        ((-0.6, 0, 20, 20), "edge_box"),
        ((0, 0, 20, 51), "edge_box"),
        ((0, 0, 0, 20), "empty_box"),
        ((20, 0, 10, 20), "empty_box"),
        ((100, 0, 120, 20), "outside_box"),
        ((0, -20, 20, 0), "outside_box"),
        ((np.nan, 0, 20, 20), "unfinite_box"),
        ((0, 0, np.inf, 20), "unfinite_box"),
    ],
)
def test_each_box_has_at_most_one_fault(box, fault):
    found = [name for name, mask in faults(np.array([box]), 100, 50).items() if mask[0]]
    assert found == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("boxes", "classes", "twins"),
    [
        ([(0, 0, 10, 10), (0, 0, 10, 10)], [0, 0], 1),
        ([(0, 0, 10, 10), (0, 0, 10, 10)], [0, 1], 0),
        ([(0, 0, 10, 10), (0, 0, 10, 9.5), (0, 0, 10, 10)], [0, 0, 0], 2),
        ([(0, 0, 10, 10), (0, 0, 10, 8.9)], [0, 0], 0),
    ],
)
def test_count_twins(boxes, classes, twins):
    assert count_twins(np.array(boxes, float), np.array(classes)) == twins


def test_to_cells_fits_the_longer_side_and_centres():
    # 200 x 100 into 128 x 128: a scale of 0.16 onto the grid of 32 cells, 8 empty rows above and below.
    np.testing.assert_allclose(to_cells([[0, 0, 100, 100]], 200, 100, (128, 128)), [[0, 8, 16, 24]])
    # A low input: the image is higher than the input, so what lies above and below has no height left.
    cut = to_cells([[0, 0, 10, 10], [0, 45, 100, 55]], 100, 100, (64, 128))
    np.testing.assert_allclose(cut, [[0, 0, 3.2, 0], [0, 6.4, 31, 9.6]])


def test_count_shared_by_class_and_over_all():
    cells = np.array([[0, 0, 2, 2], [0.5, 0.5, 2, 2], [1, 1, 1.5, 1.5], [4, 4, 6, 6]])
    assert count_shared(cells, np.array([0, 0, 1, 0])) == (1, 2)
