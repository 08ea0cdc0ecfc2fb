"""A card holds the whole settings of its tasks, and builds them."""

import pytest

from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.points.task import Find, Head, Task, TaskSettings
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks import TASKS
from centernet_tf.tasks.box3d import Box3d
from centernet_tf.tasks.pose import Pose

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
INPUT = InputCard(height=64, width=96, stride=32)


def card_of(tasks, **more):
    return ModelCard(tasks=tasks, backbone="tiny", classes=("ball", "person"), max_objects=5, input=INPUT, **more)


def test_settings_of_tasks_are_written_out_and_read_again():
    card = card_of({"pose": {"skeleton": FACE, "classes": ["person"]}, "box3d": {"camera": DEFAULT_CAMERA}})
    assert list(card.tasks) == ["pose", "box3d"]
    assert card.tasks["pose"] == {
        "skeleton": FACE.as_dict(),
        "classes": ["person"],
        "peak_threshold": 0.1,
        "peak_reach": 0.3,
    }
    given = {"size": True, "amodal_offset": False, "rules": "CenterNet", "window": "width", "shifted_sizes": False}
    assert card.tasks["box3d"] == {**given, "camera": DEFAULT_CAMERA.tolist()}
    assert card.settings == {
        "pose": Pose(skeleton=FACE, classes=("person",)),
        "box3d": Box3d(camera=DEFAULT_CAMERA),
    }
    again = ModelCard.model_validate_json(card.model_dump_json())
    assert again == card and again.settings == card.settings


def test_the_tasks_know_the_classes_and_the_options():
    card = card_of({"detect": {}, "pose": {"skeleton": FACE, "classes": ["person"]}}, class_specific_size=True)
    tasks = card.task_set(weights={"size": 0.2})
    heads = {head.name: head.channels for head in tasks.heads}
    assert (heads["heatmap"], heads["size"], heads["keypoints"]) == (2, 4, 6)
    assert {term.name: term.weight for term in tasks.terms}["size"] == 0.2
    assert tasks.properties[0].classes == ("person",)
    with pytest.raises(UsageError, match=r"pose\.classes: unknown class 'persn'"):
        card_of({"pose": {"skeleton": FACE, "classes": ["persn"]}}).task_set()


def test_a_task_of_the_user(monkeypatch):
    class Hue(TaskSettings):
        shades: int

        def build(self, centers):
            return Task(
                "hue",
                heads=(*centers.heads(), Head("hue", self.shades)),
                terms=centers.terms(),
                encode=centers.encode,
                decode=centers.decode,
                finds=(Find("hues"),),
            )

    monkeypatch.setitem(TASKS, "hue", Hue)
    card = card_of({"hue": {"shades": 7}})
    assert card.tasks == {"hue": {"shades": 7}}
    assert card.task_set().heads[-1] == Head("hue", 7)
    with pytest.raises(ValueError, match=r"hue\.shades: Field required"):
        card_of({"hue": {}})


@pytest.mark.parametrize(
    ("size", "mode", "height", "width"), [((64, 128), "fixed", 64, 128), (None, "keep", 64, 96)], ids=["fixed", "keep"]
)
def test_another_size(size, mode, height, width):
    resized = INPUT.resized(size)
    assert (resized.mode, resized.height, resized.width) == (mode, height, width)


def test_a_size_that_is_no_multiple_names_the_nearest():
    with pytest.raises(UsageError, match=r"size 70x1 is not a multiple of 32, which this network needs\. Try 64x32"):
        INPUT.resized((70, 1))


def test_thresholds_are_one_for_each_class():
    card = card_of({"detect": {}}, thresholds=(0.25, 0.5))
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
    for wrong, said in (((0.5,), "1 of 2 classes"), ((0.5, 1.5), "less than or equal to 1")):
        with pytest.raises(ValueError, match=said):
            card_of({"detect": {}}, thresholds=wrong)
