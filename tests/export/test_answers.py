"""The outputs under TFOD's names: shapes, types, order of the corners, offsets, clipping, and the label files."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.export.answers import BOXES, CLASSES, COUNT, NAMES, SCORES, label_lines, label_map, tfod_answers

# Two images: 200 x 100 and 50 x 400 pixels, width by height.
SIZES = np.array([[100, 200], [400, 50]], np.int32)
FOUND = {
    "boxes": np.array(
        [
            [[20, 10, 60, 30], [-20, -10, 220, 110], [210, 20, 230, 40]],
            [[5, 100, 10, 300], [0, 0, 50, 400], [10, -80, 20, -40]],
        ],
        np.float32,
    ),
    "scores": np.array([[0.9, 0.5, 0.0], [0.8, 0.0, 0.0]], np.float32),
    "classes": np.array([[2, 0, 1], [1, 0, 0]], np.int32),
}


def answers(found=FOUND, sizes=SIZES, class_offset=1):
    return {name: ops.convert_to_numpy(value) for name, value in tfod_answers(found, sizes, class_offset).items()}


def test_names_shapes_and_types():
    made = answers()
    assert tuple(made) == NAMES
    assert {name: value.shape for name, value in made.items()} == {
        BOXES: (2, 3, 4),
        CLASSES: (2, 3),
        SCORES: (2, 3),
        COUNT: (2,),
    }
    assert all(value.dtype == np.float32 for value in made.values())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_float32_whatever_came(dtype):
    found = {**FOUND, **{name: ops.cast(FOUND[name], dtype) for name in ("boxes", "scores")}}
    assert all(value.dtype == np.float32 for value in answers(found).values())


def test_corners_are_shares_of_each_image():
    np.testing.assert_allclose(answers()[BOXES][0, 0], [0.1, 0.1, 0.3, 0.3], atol=1e-7)
    np.testing.assert_allclose(answers()[BOXES][1, 0], [0.25, 0.1, 0.75, 0.2], atol=1e-7)


@pytest.mark.parametrize(
    ("place", "box"), [((0, 1), [0, 0, 1, 1]), ((0, 2), [0.2, 1, 0.4, 1]), ((1, 2), [0, 0.2, 0, 0.4])]
)
def test_boxes_are_clipped(place, box):
    np.testing.assert_allclose(answers()[BOXES][place], box, atol=1e-7)


@pytest.mark.parametrize("offset", [0, 1])
def test_classes_count_from_the_offset(offset):
    np.testing.assert_array_equal(answers(class_offset=offset)[CLASSES], FOUND["classes"] + offset)


def test_rows_with_score_zero_do_not_count():
    np.testing.assert_array_equal(answers()[COUNT], [2, 1])
    np.testing.assert_array_equal(answers()[SCORES], FOUND["scores"])


def test_label_files():
    names = ("person", 'a "big" dog', "caf\u00e9")
    assert label_lines(names) == 'person\na "big" dog\ncaf\u00e9\n'
    text = label_map(names)
    assert 'item {\n  id: 1\n  name: "person"\n}\n' in text
    assert 'id: 2\n  name: "a \\"big\\" dog"' in text and 'id: 3\n  name: "caf\u00e9"' in text


def test_a_name_of_two_lines_is_refused():
    with pytest.raises(UsageError, match="several lines"):
        label_lines(("person", "a\nb"))
