"""Boxes: the points alone (Objects as Points, sections 3 and 4)."""

from centernet_tf.centers import Centers
from centernet_tf.task import Task


def detect(centers: Centers) -> Task:
    """Objects as boxes with a class and a score; adds nothing to what every task shares."""
    return Task(
        name="detect",
        heads=centers.heads(),
        terms=centers.terms(),
        encode=centers.encode,
        decode=centers.decode,
    )
