import dataclasses

import numpy as np
import pytest

from centernet_tf import losses
from centernet_tf.centers import Centers
from centernet_tf.errors import UsageError
from centernet_tf.schema import FIELDS, SHARED, Field
from centernet_tf.task import Head, Task, TaskSet, Term
from centernet_tf.tasks import TASKS, build_tasks

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
JOINTS = toy("joints", [Head("shared", 2), Head("joint", 4)], [Term("joint", ("joint",), distance, 0.5)])
BOTH = join(DEPTH, JOINTS)


def test_union_of_heads_terms_fields_and_inputs():
    assert [head.name for head in BOTH.heads] == ["shared", "depth", "joint"]
    assert [term.name for term in BOTH.terms] == ["depth", "joint"]
    assert BOTH.fields == SHARED
    turn = Field("turn", "float32", (2,), "vectors", 0.0, "unit vector")
    assert join(JOINTS, toy(fields=(turn, FIELDS["boxes"]))).fields == (*SHARED, turn)
    assert BOTH.inputs == {"image": 3}
    clip = toy(inputs={"image": 3, "previous": 3})
    assert join(DEPTH, clip).inputs == {"image": 3, "previous": 3}


def test_weights_of_terms():
    assert [term.weight for term in BOTH.terms] == [1, 0.5]
    changed = dataclasses.replace(BOTH, weights={"joint": 3})
    assert [term.weight for term in changed.terms] == [1, 3]
    assert changed.total({"depth": 10, "joint": 2}) == 16
    known = "Known here: heatmap, offset, size"
    with pytest.raises(UsageError, match=f"no term 'sise'. Did you mean 'size'. {known}"):
        build_tasks(["detect"], Centers(3, weights={"sise": 1}))


def test_union_of_encode_and_decode():
    assert BOTH.encode({"value": 1}, (4, 5)) == {"depth": 5, "joint": 5}
    outputs = {"shared": [0, 1], "depth": [0, 2], "joint": [0, 3]}
    assert BOTH.decode(outputs) == {"depth": 20, "joints": 30}  # the last stack, with the peaks they share


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
    three, five = (toy(fields=(Field("joints", "float32", (count, 2), "points", 0.0, ""),)) for count in (3, 5))
    with pytest.raises(ValueError, match="Tasks disagree on field 'joints'"):
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
    detect = TASKS["detect"](CENTERS)
    again = dataclasses.replace(TASKS["detect"](Centers(3)), name="again")
    assert join(detect, again).heads == CENTERS.heads()
    assert join(detect, again).terms == CENTERS.terms()


@pytest.mark.parametrize("stacks", [[3.0], [3.0, 5.0], [3.0, 5.0, 10.0]])
def test_losses_are_means_over_the_stacks(stacks):
    tasks = join(DEPTH)
    values = tasks.losses({"depth": stacks, "shared": [0.0] * len(stacks)}, {"depth": 1.0})
    assert values == {"depth": pytest.approx(np.mean([stack - 1 for stack in stacks]))}


def test_a_term_may_read_two_heads():
    product = Term("area", ("depth", "joint"), lambda depth, joint, target: depth * joint - target)
    tasks = join(DEPTH, toy("area", terms=[product]))
    outputs = {"depth": [2.0, 3.0], "joint": [5.0, 7.0]}
    assert tasks.losses(outputs, {"depth": 0.0, "area": 1.0})["area"] == (9 + 20) / 2


def test_total_is_the_weighted_sum():
    assert BOTH.total({"depth": 3.0, "joint": 4.0}) == 5.0
    published = build_tasks(["detect"], CENTERS)
    assert published.total({"heatmap": 1.0, "offset": 2.0, "size": 30.0}) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "Tasks []: name at least one, and each only once."),
        (["detect", "detect"], "Tasks ['detect', 'detect']: name at least one, and each only once."),
        (["poses"], f"Unknown task 'poses'. Known: {', '.join(sorted(TASKS))}."),
        (["detekt"], f"Unknown task 'detekt'. Did you mean 'detect'? Known: {', '.join(sorted(TASKS))}."),
    ],
)
def test_what_build_tasks_refuses(names, text):
    with pytest.raises(UsageError) as error:
        build_tasks(names, CENTERS)
    if names != ["poses"]:
        assert str(error.value) == text
    else:
        assert str(error.value).startswith("Unknown task 'poses'.")
