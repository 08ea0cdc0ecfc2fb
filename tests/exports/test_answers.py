"""The outputs under TFOD's names: shapes, types, order of the corners, offsets, clipping, and the label files."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.exports.answers import (
    BOXES,
    CLASSES,
    COUNT,
    NAMES,
    SCORES,
    all_answers,
    answer_names,
    as_found,
    label_lines,
    label_map,
)
from centernet_tf.exports.tfod import tfod_answers
from centernet_tf.points.task import Find

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


def test_corners_are_fractions_of_each_image():
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


def with_all_answers(found=FOUND):
    """What was found, and a field of random numbers for every answer that there is."""
    random = np.random.default_rng(0)
    sides = {answer.field: 4 if answer.kind == "boxes" else 2 for answer in all_answers()}
    fields = {name: random.uniform(0, 50, (2, 3, 4, count)).astype(np.float32) for name, count in sides.items()}
    return {**found, **fields}


def test_points_are_fractions_y_first_and_the_rest_stays():
    found = with_all_answers()
    made = answers(found)
    assert tuple(made) == answer_names([Find(answer.field) for answer in all_answers()])
    assert {answer.kind for answer in all_answers()} >= {"points", "boxes", "scores", "metres", "angles"}
    for answer in all_answers():
        expected = found[answer.field]
        if answer.kind == "points":
            expected = expected[..., ::-1] / SIZES[:, None, None]
        if answer.kind == "boxes":
            expected = expected[..., [1, 0, 3, 2]] / np.tile(SIZES, 2)[:, None, None]
        if answer.column is not None:
            expected = expected[..., answer.column]
        np.testing.assert_allclose(made[answer.name], expected, rtol=1e-6, err_msg=answer.name)


def test_boxes_of_every_kind_are_cut_at_the_image():
    fields = {answer.field: answer.name for answer in all_answers() if answer.kind == "boxes"}
    beyond = np.array([-30.0, 20.0, 500.0, 999.0], np.float32)
    made = answers({**FOUND, **dict.fromkeys(fields, np.tile(beyond, (2, 3, 5, 1)))})
    for name in fields.values():
        np.testing.assert_allclose(made[name][0], np.tile([0.2, 0, 1, 1], (3, 5, 1)), rtol=1e-6)
    assert fields


def test_names_are_those_of_what_is_found():
    assert answer_names([]) == answer_names([Find("unheard of")]) == NAMES
    last = all_answers()[-1]
    assert answer_names([Find(last.field)]) == (*NAMES, last.name)


@pytest.mark.parametrize("first_class", [0, 1])
def test_every_answer_comes_back(first_class):
    found = with_all_answers()
    made = {**answers(found, class_offset=first_class), "unheard of": np.zeros((2, 3))}
    for row, (height, width) in enumerate(SIZES):
        one = {name: values[row] for name, values in made.items()}
        back = as_found(one, lambda fractions: fractions[..., ::-1] * [width, height], first_class)  # noqa: B023
        assert set(back) == set(found)
        for name, values in found.items():
            np.testing.assert_allclose(back[name], values[row], rtol=1e-5, atol=1e-4, err_msg=name)


def test_boxes_are_whole_where_anything_lies_over_them():
    patches = [answer for answer in all_answers() if answer.kind == "patches"]
    for answer in all_answers():
        values = np.zeros((2, 3, 4, 4), np.float32)
        boxes = answers({**FOUND, answer.field: values})[BOXES]
        assert (boxes.min() < 0 and boxes.max() > 1) == (answer in patches), answer.name
    assert patches


def test_label_files():
    names = ("person", 'a "big" dog', "caf\u00e9")
    assert label_lines(names) == 'person\na "big" dog\ncaf\u00e9\n'
    text = label_map(names)
    assert 'item {\n  id: 1\n  name: "person"\n}\n' in text
    assert 'id: 2\n  name: "a \\"big\\" dog"' in text and 'id: 3\n  name: "caf\u00e9"' in text


def test_a_name_of_two_lines_is_refused():
    with pytest.raises(UsageError, match="several lines"):
        label_lines(("person", "a\nb"))
