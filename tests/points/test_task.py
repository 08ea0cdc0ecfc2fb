import dataclasses

import keras
import numpy as np
import pytest

from centernet_tf import losses
from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Extra, Find, Head, Input, Task, TaskSettings, Term
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.fields import FIELDS, SHARED, Field
from centernet_tf.tasks import TASKS, build_tasks, check_tasks, read_task
from centernet_tf.tasks.detect import Detect

CENTERS = Centers(3)


def distance(values, target):
    return abs(values - target)


def toy(name="toy", heads=(), terms=(), **more):
    """A task that counts what it is given."""
    return Task(
        name,
        heads=tuple(heads),
        terms=tuple(terms),
        encode=lambda rows, centers: {term.name: rows["value"] + centers["shift"] for term in terms},
        decode=lambda outputs, peaks: {name: outputs[heads[-1].name] * peaks["best"]},
        **more,
    )


def join(*tasks, centers=CENTERS):
    return TaskSet(tasks, lambda rows, grid: {"shift": grid[0]}, lambda outputs: {"best": 10})


DEPTH = toy(
    "depth", [Head("shared", 2), Head("depth", 1)], [Term("depth", ("depth",), distance)], fields=(FIELDS["boxes"],)
)
KEYPOINTS = toy("keypoints", [Head("shared", 2), Head("keypoint", 4)], [Term("keypoint", ("keypoint",), distance, 0.5)])
BOTH = join(DEPTH, KEYPOINTS)


def test_union_of_heads_terms_fields_and_inputs():
    assert [head.name for head in BOTH.heads] == ["shared", "depth", "keypoint"]
    assert [term.name for term in BOTH.terms] == ["depth", "keypoint"]
    assert BOTH.fields == SHARED
    turn = Field("turn", "float32", (2,), "vectors", 0.0, "unit vector")
    assert join(KEYPOINTS, toy(fields=(turn, FIELDS["boxes"]))).fields == (*SHARED, turn)
    assert BOTH.inputs == {"image": Input()}
    clip = toy(inputs={"image": Input(), "previous": Input(frames=(-1,))})
    assert join(DEPTH, clip).inputs == {"image": Input(), "previous": Input(frames=(-1,))}
    with pytest.raises(ValueError, match="Tasks disagree on input 'previous': "):
        join(clip, toy(inputs={"previous": Input(1)})).inputs  # noqa: B018


def test_weights_of_terms():
    assert [term.weight for term in BOTH.terms] == [1, 0.5]
    changed = dataclasses.replace(BOTH, weights={"keypoint": 3})
    assert [term.weight for term in changed.terms] == [1, 3]
    assert changed.total({"depth": 10, "keypoint": 2}) == 16
    known = "Known here: heatmap, offset, size"
    with pytest.raises(UsageError, match=f"no term 'sise'. Did you mean 'size'. {known}"):
        build_tasks({"detect": Detect()}, Centers(3, weights={"sise": 1}))


def test_union_of_encode_and_decode():
    assert BOTH.encode({"value": 1}, (4, 5)) == {"depth": 5, "keypoint": 5}
    outputs = {"shared": [0, 1], "depth": [0, 2], "keypoint": [0, 3]}
    assert BOTH.decode(outputs) == {"depth": 20, "keypoints": 30}  # the last stack, with the peaks they share


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (toy(heads=[Head("depth", 2)]), "Tasks disagree on head 'depth': Head(name='depth', channels=1, "),
        (toy(heads=[Head("depth", 1, bias=1.0)]), "Tasks disagree on head 'depth': "),
        (toy(terms=[Term("depth", ("depth",), distance, 2.0)]), "Tasks disagree on term 'depth': Term(name='depth', "),
        (toy(terms=[Term("depth", ("shared",), distance)]), "Tasks disagree on term 'depth': "),
        (toy(terms=[Term("depth", ("depth",), losses.masked_l1)]), "Tasks disagree on term 'depth': "),
    ],
)
def test_tasks_that_share_a_name_must_mean_the_same(other, text):
    joined = join(DEPTH, other)
    with pytest.raises(ValueError) as error:
        joined.heads, joined.terms  # noqa: B018
    assert str(error.value).startswith(text)
    assert str(error.value).endswith("Rename one of them.")


def test_tasks_must_agree_on_the_shape_of_a_field():
    three, five = (toy(fields=(Field("keypoints", "float32", (count, 2), "points", 0.0, ""),)) for count in (3, 5))
    with pytest.raises(ValueError, match="Tasks disagree on field 'keypoints'"):
        join(three, five).fields  # noqa: B018


@pytest.mark.parametrize(
    ("wishes", "boxed"),
    [([[1, 0, 0]], [1, 0, 0]), ([[1, 0, 0], [0, 1, 0]], [1, 1, 0]), ([[1, 0, 0], None], None), ([None], None)],
)
def test_a_box_is_trained_if_any_task_wants_it(wishes, boxed):
    tasks = [
        toy(str(number), boxed=None if wish is None else lambda rows, wish=wish: np.array(wish, bool))
        for number, wish in enumerate(wishes)
    ]
    seen = []
    TaskSet(tuple(tasks), lambda rows, grid: seen.append(rows) or {}, dict).encode({"value": 1}, (4, 5))
    assert seen[0]["value"] == 1
    np.testing.assert_equal(seen[0].get("boxed"), boxed if boxed is None else np.array(boxed, bool))


def test_the_same_centres_said_twice_are_said_once():
    detect = Detect().build(CENTERS)
    again = dataclasses.replace(Detect().build(Centers(3)), name="again")
    assert join(detect, again).heads == CENTERS.heads()
    assert join(detect, again).terms == CENTERS.terms()


@pytest.mark.parametrize("stacks", [[3.0], [3.0, 5.0], [3.0, 5.0, 10.0]])
def test_losses_are_means_over_the_stacks(stacks):
    tasks = join(DEPTH)
    values = tasks.losses({"depth": stacks, "shared": [0.0] * len(stacks)}, {"depth": 1.0})
    assert values == {"depth": pytest.approx(np.mean([stack - 1 for stack in stacks]))}


def test_a_term_may_read_two_heads():
    product = Term("area", ("depth", "keypoint"), lambda depth, keypoint, target: depth * keypoint - target)
    tasks = join(DEPTH, toy("area", terms=[product]))
    outputs = {"depth": [2.0, 3.0], "keypoint": [5.0, 7.0]}
    assert tasks.losses(outputs, {"depth": 0.0, "area": 1.0})["area"] == (9 + 20) / 2


def test_total_is_the_weighted_sum():
    assert BOTH.total({"depth": 3.0, "keypoint": 4.0}) == 5.0
    published = build_tasks({"detect": Detect()}, CENTERS)
    assert published.total({"heatmap": 1.0, "offset": 2.0, "size": 30.0}) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "Tasks []: name at least one, and each only once."),
        (["detect", "detect"], "Tasks ['detect', 'detect']: name at least one, and each only once."),
        (["detekt"], f"Unknown task 'detekt'. Did you mean 'detect'? Known: {', '.join(sorted(TASKS))}."),
        (["segment"], f"Unknown task 'segment'. Known: {', '.join(sorted(TASKS))}."),
    ],
)
def test_names_that_are_refused(names, text):
    with pytest.raises(UsageError) as error:
        check_tasks(names)
    assert str(error.value) == text
    if len(set(names)) == len(names):
        with pytest.raises(UsageError) as error:
            build_tasks(dict.fromkeys(names, Detect()), CENTERS)
        assert str(error.value) == text


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("detekt", {}, "Unknown task 'detekt'."),
        ("detect", {"size": 3}, "detect.size: unknown setting."),
        ("box3d", {"size": "x"}, "box3d.size: Input should be a valid boolean"),
        ("pose", {"skeleton": {"keypoints": []}}, "pose.skeleton: skeleton: 'keypoints' is empty"),
    ],
)
def test_settings_that_are_refused(name, values, text):
    with pytest.raises(UsageError) as error:
        read_task(name, values)
    assert str(error.value).startswith(text)


def test_a_task_of_the_user_is_built_as_any_other(monkeypatch):
    class Toy(TaskSettings):
        channels: int = 1

        def build(self, centers):
            return toy("toy", [*centers.heads(), Head("toy", self.channels)])

    monkeypatch.setitem(TASKS, "toy", Toy)
    made = build_tasks({"detect": Detect(), "toy": read_task("toy", {"channels": 4})}, CENTERS)
    assert [(head.name, head.channels) for head in made.heads][-1] == ("toy", 4)


def test_union_of_what_is_found_and_what_it_takes():
    lens = Extra("lens", (2,), usual=(1.0, 2.0))
    seen = toy("seen", finds=(Find("way", "vectors"), Find("label")), extras=(lens,))
    placed = toy("placed", finds=(Find("label"), Find("place")), extras=(lens,), place=lambda found, extras: {
        "place": found["way"] * extras["lens"], "label": 7,
    })  # fmt: skip
    tasks = join(seen, placed)
    assert [find.name for find in tasks.finds] == ["way", "label", "place"] and tasks.extras == (lens,)
    assert tasks.motions == {"boxes": "boxes", "way": "vectors"}
    assert tasks.place({"way": 3, "label": 1}, {"lens": 2}) == {"way": 3, "label": 7, "place": 6}
    with pytest.raises(ValueError, match="Tasks disagree on find 'way'"):
        join(seen, toy(finds=(Find("way"),))).finds  # noqa: B018


def test_a_task_may_weigh_the_terms_itself():
    learned = toy("learned", combine=lambda terms: max(terms.values()))
    assert join(DEPTH, KEYPOINTS, learned).total({"depth": 3.0, "keypoint": 10.0}) == 5.0
    with pytest.raises(ValueError, match="Several tasks combine the terms of the loss"):
        join(DEPTH, learned, dataclasses.replace(learned, name="other")).total({"depth": 3.0})


def test_layers_of_the_loss_are_found_once():
    layer = keras.layers.Dense(1)
    one, other = (toy(name, heads=[Head("depth", 1)], terms=[Term(name, ("depth",), layer)]) for name in ("a", "b"))
    assert join(one, dataclasses.replace(other, combine=layer), DEPTH).layers == (layer,)
