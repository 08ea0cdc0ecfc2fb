"""What is found of any property by the declaration of its fields: numbers that are not finite, objects that are not."""

import numpy as np
import pytest

from centernet_tf.datasets.items import Item, usable_objects
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Property

WEIGHT = Field("weights", "float32", (2,), "fixed", 0.0, "kilograms, before and after")
WORD = Field("words", "U8", (), "fixed", "", "what it is called")
LENS = Field("lens", "float32", (3,), "fixed", 0.0, "of the camera", level="image")
TIES = Field("ties", "int32", (2,), "fixed", -1, "two objects", level="pair", refers=True)
FORCE = Field("force", "float32", (), "fixed", 0.0, "newtons", level="pair")
BOXES = np.float32([[1, 2, 11, 12], [3, 4, 23, 24], [5, 6, 35, 36]])
SIZE = (100, 50)


def property_of(*declared):
    class Declared(Property):
        name = "declared"

        @property
        def fields(self):
            return declared

    return Declared()


def of_objects(one, **rows):
    return [fault and fault.detail for fault in one.faults({"boxes": BOXES, **rows}, SIZE)]


def test_nothing_is_wrong_with_none():
    none = {"boxes": BOXES[:0], "weights": np.zeros((0, 2)), "words": np.array([], "U8")}
    assert property_of(WEIGHT, WORD).faults(none, SIZE) == []
    pairs = {"ties": np.zeros((0, 2), np.int32), "force": np.zeros(0, np.float32)}
    assert property_of(TIES, FORCE).pair_faults(pairs, 3) == []
    assert property_of().pair_faults({}, 3) == [] and property_of().image_fault({}) is None


def test_numbers_of_objects():
    one = property_of(WEIGHT, WORD)
    words = np.array(["a", "nan", "inf"])
    assert of_objects(one, weights=np.float32([[1, 2], [-3, 4], [5, 1e30]]), words=words) == [None] * 3
    wrong = "has weights that are not finite: kilograms, before and after"
    found = of_objects(one, weights=np.float32([[1, np.nan], [3, 4], [np.inf, -np.inf]]), words=words)
    assert found == [wrong, None, wrong]


@pytest.mark.parametrize("declared", [(), (LENS,), (TIES, FORCE)])
def test_as_many_as_objects_where_these_have_no_field(declared):
    assert of_objects(property_of(*declared)) == [None] * 3


def test_numbers_of_the_image():
    one = property_of(LENS, WEIGHT)
    assert one.image_fault({"lens": np.float32([1, 2, 3]), "weights": np.float32([[np.nan, 0]])}) is None
    fault = one.image_fault({"lens": np.float32([1, np.nan, 3])})
    assert (fault.reason, fault.detail) == ("not a number", "has lens that are not finite: of the camera")


def test_pairs_of_objects_that_are_not_there():
    rows = {
        "ties": np.int32([[0, 1], [2, -1], [0, 3], [-2, 1], [1, 0]]),
        "force": np.float32([1, 2, np.nan, 4, np.nan]),
    }
    found = property_of(TIES, FORCE).pair_faults(rows, 3)
    assert [fault and fault.reason for fault in found] == [
        *(None, None, "pair of an object that is not there", "pair of an object that is not there", "not a number")
    ]
    assert found[2].detail == "names object 3, but the image has 3, numbered from 0; -1 is for none"


@pytest.mark.parametrize("declared", [(LENS,), (TIES, FORCE), (WEIGHT,)])
def test_objects_are_written_whatever_a_property_has(declared):
    """Boxes stay where a property tells of images or pairs alone, and what is wrong with those leaves out no box."""
    rows = {"ties": np.int32([[0, 1], [2, 7]]), "force": np.float32([1, 2]), "lens": np.float32([1, 2, 3])}
    given = {field.name: rows[field.name] for field in declared if field.name in rows}
    item = Item("a", 1, b"", "a.png", BOXES, ["thing"] * 3, rows=given)
    found = usable_objects(item, *SIZE, ["thing"], [property_of(*declared)])
    assert len(found.boxes) == 3 and not found.faults and found.broken is None
    assert len(found.pair_faults) == (1 if TIES in declared else 0)


def test_images_and_objects_that_cannot_be_used():
    wrong = {"weights": np.float32([[1, 2], [np.nan, 0], [3, 4]]), "lens": np.float32([np.inf, 0, 0])}
    item = Item("a", 1, b"", "a.png", BOXES, ["thing"] * 3, rows=wrong)
    found = usable_objects(item, *SIZE, ["thing"], [property_of(WEIGHT, LENS)])
    assert found.boxes.tolist() == BOXES[[0, 2]].tolist() and found.broken.reason == "not a number"
    assert [fault.detail for fault in found.faults] == ["box 2 of 3 has weights that are not finite: " + WEIGHT.meaning]


def test_images_without_pairs_are_filled_with_none():
    filled = property_of(TIES, FORCE, LENS, WEIGHT).fill({}, 3)
    shapes = {name: values.shape for name, values in filled.items()}
    assert shapes == {"ties": (0, 2), "force": (0,), "lens": (3,), "weights": (3, 2)}
    item = Item("a", 1, b"", "a.png", BOXES, ["thing"] * 3)
    found = usable_objects(item, *SIZE, ["thing"], [property_of(TIES, FORCE)])
    assert len(found.boxes) == 3 and found.rows["ties"].shape == (0, 2) and found.pairs == 0
