"""Where the skeleton of a pose comes from, which classes have it, and what does not fit."""

import pytest

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks.pose import Pose

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye", "chin"), flip_pairs=((1, 2),))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "Task 'pose' needs a skeleton: "),
        (
            {"skeleton": FACE, "classes": ("persn",)},
            "pose.classes: unknown class 'persn'. Did you mean 'person'? Known: ball, person.",
        ),
    ],
)
def test_what_cannot_be_built(settings, text):
    with pytest.raises(UsageError) as error:
        Pose(**settings).build(Centers(2, class_names=("ball", "person")))
    assert str(error.value).startswith(text)


class Records:
    """What `complete` reads of a data set."""

    directory, classes = "records", ("ball", "person")

    def __init__(self, *properties):
        self.properties = properties

    def property(self, name):
        return next((one for one in self.properties if one.name == name), None)


NUMBERED = Skeleton(keypoints=("one", "two"))


@pytest.mark.parametrize(
    ("given", "known", "skeleton"),
    [
        (None, FACE, FACE),
        (FACE, None, FACE),
        (Skeleton(keypoints=FACE.keypoints), FACE, Skeleton(keypoints=FACE.keypoints)),  # names count, pairs may differ
    ],
)
def test_the_skeleton_is_the_settings_or_the_records(given, known, skeleton):
    records = Records(*([Keypoints(skeleton=known)] if known else []))
    completed = Pose(skeleton=given, classes=["person"]).complete(records)
    assert completed == Pose(skeleton=skeleton, classes=("person",))
    assert Pose.model_validate_json(completed.model_dump_json()) == completed


@pytest.mark.parametrize("given", [None, FACE, FACE.model_copy(update={"sigmas": (0.1, 0.2, 0.1, 0.1)})])
def test_sigmas_are_those_of_the_records(given):
    known = FACE.model_copy(update={"sigmas": (0.1, 0.2, 0.1, 0.1)})
    assert Pose(skeleton=given).complete(Records(Keypoints(skeleton=known))).skeleton.sigmas == known.sigmas
    assert Pose(skeleton=known).complete(Records()).skeleton.sigmas == known.sigmas


@pytest.mark.parametrize(
    ("given", "known", "text"),
    [
        ({}, None, "records: its dataset.yaml has no keypoints, which task 'pose' needs."),
        (
            {"skeleton": NUMBERED},
            FACE,
            "pose.skeleton: keypoints one, two, but records has nose, left_eye, right_eye, chin. Leave the setting out",
        ),
        (
            {"skeleton": FACE.model_copy(update={"sigmas": (0.1,) * 4})},
            FACE,
            "pose.skeleton: its sigmas are not those of records, by which results are scored. Leave them out",
        ),
        ({"classes": ("bal",)}, FACE, "pose.classes: unknown class 'bal'. Did you mean 'ball'?"),
    ],
)
def test_what_does_not_fit_the_records(given, known, text):
    with pytest.raises(UsageError) as error:
        Pose(**given).complete(Records(*([Keypoints(skeleton=known)] if known else [])))
    assert str(error.value).startswith(text)


def test_a_skeleton_from_a_file_or_written_out(tmp_path):
    pairs = "flip_pairs: [[left_eye, right_eye]]"
    (tmp_path / "face.yaml").write_text(f"keypoints: [nose, left_eye, right_eye, chin]\n{pairs}")
    assert Pose(skeleton=tmp_path / "face.yaml") == Pose(skeleton=FACE.as_dict()) == Pose(skeleton=FACE)
    with pytest.raises(ValueError, match=r"none\.yaml: No such file"):
        Pose(skeleton="none.yaml")
    with pytest.raises(ValueError, match="unknown 'limb'"):
        Pose(skeleton={"keypoints": ["a"], "limb": []})
