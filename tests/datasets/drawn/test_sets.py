"""Which drawn data set shows what a model finds."""

import pytest

from centernet_tf.datasets.drawn import sets, shapes

PERSONS = ("person", "ball")
KINDS = ("car", "truck", "cabinet")


@pytest.mark.parametrize(
    ("classes", "properties", "expected"),
    [
        ((), (), None),
        (("cat",), (), None),
        (("person",), ("keypoints",), None),  # that of photographs
        (PERSONS, ("keypoints",), "figures"),
        (PERSONS, (), "figures"),
        (KINDS, ("boxes3d",), "scenes"),
        (shapes.CLASSES, (), "shapes"),
        (shapes.CLASSES, ("masks",), "masked_shapes"),
        (shapes.CLASSES[::-1], ("tracks",), "film"),
        (("circle", "rectangle"), ("tracks",), "film"),
        (("left", "right", "grow", "turn", "stop"), ("tracks",), "motions"),
    ],
)
def test_the_nearest(classes, properties, expected):
    found = sets.showing(classes, properties, 1, "demo")
    if expected is None:
        assert found is None
        return
    module = getattr(__import__("centernet_tf.datasets.drawn", fromlist=[expected]), expected)
    made = [module.read(1, split="demo", **arguments) for arguments in module.EXAMPLES]
    assert {*found.classes} == {*classes}
    assert any((found.classes, found.properties) == (one.classes, one.properties) for one in made)
