"""A skeleton survives its YAML, mirrors its pairs, and says what is wrong with it."""

import numpy as np
import pydantic
import pytest
import yaml

from centernet_tf.errors import UsageError
from centernet_tf.properties.keypoints.skeleton import (
    COCO_PERSON,
    DEFAULT_SIGMA,
    Skeleton,
    guess_flip_pairs,
    read_skeleton,
)

FACE = {"keypoints": ["nose", "left_eye", "right_eye"], "flip_pairs": [["left_eye", "right_eye"]]}


def test_people_of_coco_are_complete():
    assert (len(COCO_PERSON.keypoints), len(COCO_PERSON.flip_pairs), len(COCO_PERSON.limbs)) == (17, 8, 19)
    np.testing.assert_allclose(np.median(COCO_PERSON.sigmas), 0.072)
    assert guess_flip_pairs(COCO_PERSON.keypoints) == COCO_PERSON.flip_pairs


def test_flip_order_changes_pairs_only():
    assert Skeleton.from_dict(FACE).flip_order == (0, 2, 1)
    order = np.array(COCO_PERSON.flip_order)
    np.testing.assert_array_equal(order[order], np.arange(17))


@pytest.mark.parametrize("skeleton", [COCO_PERSON, Skeleton.from_dict(FACE)], ids=["coco", "face"])
def test_a_skeleton_survives_its_yaml(skeleton, tmp_path):
    file = tmp_path / "skeleton.yaml"
    file.write_text(yaml.safe_dump(skeleton.as_dict()))
    assert read_skeleton(file) == skeleton


@pytest.mark.parametrize(
    ("sigmas", "expected"),
    [
        (None, (DEFAULT_SIGMA,) * 3),
        (0.1, (0.1,) * 3),
        ([0.1, 0.2, 0.3], (0.1, 0.2, 0.3)),
        ({"nose": 0.1}, (0.1, DEFAULT_SIGMA, DEFAULT_SIGMA)),
    ],
)
def test_sigmas_may_be_given_in_four_ways(sigmas, expected):
    assert Skeleton.from_dict({**FACE, "sigmas": sigmas}).sigmas == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"keypoints": []}, "'keypoints' is empty"),
        ({"keypoints": "nose"}, "expected a list of keypoint names"),
        (None, "expected a list of keypoint names"),
        ({"keypoints": ["a", True]}, "keypoint True is not text; put quotes"),
        ({"keypoints": ["", "b"]}, "'keypoints' has no name for keypoint 1 of 2; each keypoint needs its own name"),
        ({"keypoints": ["a", " "]}, "'keypoints' has no name for keypoint 2 of 2"),
        ({"keypoints": ["a", "b", "a"]}, "names a twice"),
        ({"keypoints": ["a", "b"], "limb": []}, "unknown 'limb'.*Did you mean 'limbs'"),
        (
            {**FACE, "limbs": [["nose", "left_eyes"]]},
            "'limbs' names 'left_eyes', which is not a keypoint. Did you mean",
        ),
        ({**FACE, "limbs": [["nose"]]}, "'limbs' holds .'nose'.; expected two names"),
        ({**FACE, "limbs": "nose"}, "'limbs' is 'nose'; expected a list of pairs"),
        ({**FACE, "flip_pairs": [["nose", "nose"]]}, "'flip_pairs' joins 'nose' with itself"),
        ({**FACE, "flip_pairs": [["nose", "left_eye"], ["left_eye", "right_eye"]]}, "left_eye in two pairs"),
        ({**FACE, "sigmas": [0.1]}, "1 'sigmas' for 3 keypoints"),
        ({**FACE, "sigmas": 0}, "'sigmas' holds 0.0; expected numbers above 0"),
        ({**FACE, "sigmas": {"noes": 1}}, "'sigmas' names 'noes'.*Did you mean 'nose'"),
        ({**FACE, "sigmas": "wide"}, "sigmas.0: Input should be a valid number"),
    ],
)
def test_errors_name_what_is_wrong(values, words, tmp_path):
    file = tmp_path / "skeleton.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=f"skeleton.yaml: .*{words}"):
        read_skeleton(file)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: No such file"):
        read_skeleton(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("keypoints: [a")
    with pytest.raises(UsageError, match=r"bad\.yaml: not readable as YAML"):
        read_skeleton(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("keypoints: [a]\nlimbs: []\nkeypoints: [b, c]\n", "keypoints"),
        ("keypoints: [a]\nsigmas: {a: 0.1, a: 0.2}\n", "a"),
    ],
)
def test_what_stands_twice_is_refused(text, key, tmp_path):
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(UsageError, match=rf"twice\.yaml: not readable as YAML \('{key}' is given twice"):
        read_skeleton(tmp_path / "twice.yaml")


def test_indices_outside_the_keypoints_are_refused():
    with pytest.raises(pydantic.ValidationError, match="'limbs' has keypoint 2 of 2"):
        Skeleton(keypoints=("a", "b"), limbs=((0, 2),))


@pytest.mark.parametrize(
    ("keypoints", "pairs"),
    [
        (["left_eye", "right_eye", "nose"], ((0, 1),)),
        (["right hand", "Left Hand"], ((1, 0),)),
        (["eyeL", "eyeR"], ((0, 1),)),
        (["RHip", "LHip"], ((1, 0),)),
        (["hand_l", "hand_r", "tail"], ((0, 1),)),
        (["left_eye", "nose"], ()),
        (["leftover", "rightover"], ()),
        (["hand_1_l", "hand_2_l", "hand_1_r", "hand_2_r"], ((0, 2), (1, 3))),
        # Other scripts, also with combining marks and digits of their own.
        (["left_眼", "right_眼", "left_耳", "right_耳"], ((0, 1), (2, 3))),
        (["left_耳", "right_眼"], ()),
        (["épaule_l", "épaule_r", "œil_l", "œil_r"], ((0, 1), (2, 3))),
        (["left_कि", "left_कु", "right_कु", "right_कि"], ((0, 3), (1, 2))),
        (["left_१", "left_२", "right_१", "right_२"], ((0, 2), (1, 3))),
        # Two sides in a name: both change in a mirror, wherever such a keypoint is.
        (["l_ear_l", "l_ear_r", "r_ear_l", "r_ear_r"], ((0, 3), (1, 2))),
        (["l_ear_r", "r_ear_r", "l_ear_l", "r_ear_l"], ((0, 3), (2, 1))),
        (["LeftEyeL", "LeftEyeR", "RightEyeL", "RightEyeR"], ((0, 3), (1, 2))),
        (["r_hand_l", "r_hand_r"], ((0, 1),)),
        # Names that differ in nothing that is read: no keypoint is in two pairs.
        (["left_toe", "left toe", "right_toe"], ((0, 2),)),
        (["left_toe", "right_toe", "right toe"], ((0, 1),)),
    ],
)
def test_pairs_are_guessed_from_names(keypoints, pairs):
    assert guess_flip_pairs(keypoints) == pairs
    assert Skeleton(keypoints=keypoints, flip_pairs=pairs)
