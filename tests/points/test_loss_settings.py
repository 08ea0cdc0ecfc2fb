import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.loss_settings import LossSettings, balanced
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.box3d import Box3d
from centernet_tf.tasks.detect import Detect

NAMES = ("cell", "cat", "dog")


def build(**options):
    return build_tasks({"detect": Detect()}, Centers(3, class_names=NAMES, **options))


@pytest.mark.parametrize(
    "counts", [{}, {"cat": 0}, {"cat": 7, "dog": 7}, {"cell": 4155, "cat": 361, "dog": 372, "ant": 0}]
)
def test_balanced_classes_count_alike(counts):
    weights = balanced(counts)
    shares = [weights[name] * count for name, count in counts.items() if count]
    assert weights.keys() == counts.keys() and np.allclose(shares, sum(counts.values()) / max(len(shares), 1))
    assert all(weights[name] == 1 for name, count in counts.items() if not count)


def test_defaults_are_those_of_the_points():
    options = LossSettings().options({"cat": 3, "dog": 1})
    assert Centers(3, **options) == Centers(3)


def test_weights_of_classes_stand_in_channel_order():
    options = LossSettings(class_weights="balanced").options({"cell": 6, "cat": 2, "dog": 1})
    np.testing.assert_allclose(Centers(3, class_names=NAMES, **options).weights_of_classes(), [0.5, 1.5, 3])
    given = LossSettings(class_weights={"dog": 2}).options({})
    np.testing.assert_allclose(Centers(3, class_names=NAMES, **given).weights_of_classes(), [1, 1, 2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class_weights": {"catt": 2.0}}, "class_weights: no class 'catt'. Did you mean 'cat'?"),
        ({"class_specific_size": True, "box": "giou"}, "class_specific_size and loss.box exclude each other"),
        ({"class_specific_size": True, "area": 0.5, "iou_aware": 0.5}, "loss.area and iou_aware exclude"),
    ],
)
def test_what_makes_no_sense_together(options, said):
    with pytest.raises(UsageError, match=said):
        build(**options)


def test_whole_boxes_need_a_size():
    with pytest.raises(UsageError, match=r"loss\.box: without size there is no box"):
        build_tasks({"box3d": Box3d(size=False)}, Centers(3, box="giou"))
