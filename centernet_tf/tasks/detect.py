"""Boxes: the points alone (Objects as Points, sections 3 and 4)."""

from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Task, TaskSettings


class Detect(TaskSettings):
    """Objects as boxes with a class and a score; adds nothing to the shared heads."""

    def build(self, centers: Centers) -> Task:
        return Task(
            name="detect",
            heads=centers.heads(),
            terms=centers.terms(),
            encode=centers.encode,
            decode=centers.decode,
        )
