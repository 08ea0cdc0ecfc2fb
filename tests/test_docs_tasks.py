"""The page of all tasks names each of them with its heads, as they are built, its picture and its commands."""

import contextlib
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import pydantic
import pytest
import yaml

from centernet_tf.media.images import read_image
from centernet_tf.points.centers import Centers
from centernet_tf.tasks import TASKS, build_tasks
from centernet_tf.tasks.pose import Skeleton

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "tasks.md").read_text(encoding="utf-8")
NAMES = re.findall(r"^## `(\w+)`: ", TEXT, re.MULTILINE)
SHARED, *PARTS = re.split(r"^## .*\n", TEXT, flags=re.MULTILINE)
SECTIONS = dict(zip(NAMES, PARTS))

# What the letters of the page stand for in the networks that are built here, all of them different.
LETTERS = {"C": 5, "J": 3, "E": 11, "S": 6, "K": 4, "V": 13}
# Settings that give them these values.
NEEDED = {
    "pose": {"skeleton": Skeleton(keypoints=("nose", "left_eye", "right_eye"))},
    "reid": {"embedding": LETTERS["E"]},
    "mask": {"side": LETTERS["S"]},
    "action": {"frames": LETTERS["K"]},
    "hoi": {"verbs": tuple("abcdefghijklm")},
}


def built_heads(task, settings=None, **options):
    """{head: channels} of a task."""
    own = {**NEEDED.get(task, {}), **(settings or {})}
    if settings and "side" in own and settings.get("head", "product") != "product":
        del own["side"]  # which only one of the heads has
    tasks = build_tasks({task: TASKS[task](**own)}, Centers(LETTERS["C"], **options))
    frames = len(tasks.inputs["image"].frames)
    return {head.name: head.channels * (frames if head.per_frame else 1) for head in tasks.heads}


def channels(text):
    """Channels as the page writes them: 2, C, 2 x K."""
    found = 1
    for factor in text.split(" x "):
        found *= LETTERS[factor] if factor in LETTERS else int(factor)
    return found


def told_heads(text):
    """{setting that they need, or "": {head: channels}} of the tables in a text."""
    found = {"": {}}
    for name, count, _, setting in re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", text, re.MULTILINE):
        found.setdefault(setting.strip(" `"), {})[name] = channels(count)
    return found


def told_of(task):
    """The same of a task, with the shared heads where its section says that it has them."""
    found = told_heads(SECTIONS[task])
    if "from the shared heads" in SECTIONS[task]:
        found[""] = {**told_heads(SHARED)[""], **found[""]}
    return found


def choices(task):
    """Each setting that is a choice between few values, with each of them."""
    for name, field in TASKS[task].model_fields.items():
        if field.annotation is bool or get_origin(field.annotation) is Literal:
            for value in get_args(field.annotation) or (False, True):
                yield {name: value}


def test_all_tasks_have_a_section():
    assert sorted(NAMES) == sorted(TASKS)
    assert len(PARTS) == len(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_heads_are_those_that_are_built(task):
    told = told_of(task)
    forms = [{**told[""], **told[setting]} for setting in told]
    assert built_heads(task) in forms
    for setting in told:
        values = yaml.safe_load(setting) if setting else {}
        if values or len(told) == 1:
            assert built_heads(task, values) == {**told[""], **told[setting]}, setting


@pytest.mark.parametrize("task", TASKS)
def test_no_choice_of_a_setting_makes_another_head(task):
    told = told_of(task)
    known = {name for heads in told.values() for name in heads}
    for choice in choices(task):
        made = []
        for form in told:  # some go with one form of the task alone
            with contextlib.suppress(pydantic.ValidationError):
                made.append(built_heads(task, {**(yaml.safe_load(form) or {}), **choice}).keys())
        assert made and all(heads <= known for heads in made), choice


def test_other_sizes_of_shared_heads_are_as_told():
    shared = told_heads(SHARED)[""]
    assert built_heads("detect", ltrb=True) == {**shared, "size": 4} and "`ltrb: true`, `size` has 4" in TEXT
    with_overlap = {**shared, **told_heads(SHARED)["iou_aware: 0.5"]}
    assert built_heads("detect", iou_aware=0.5) == with_overlap != shared
    of_classes = channels(re.search(r"each class, (.*)\.$", SHARED, re.MULTILINE)[1])
    assert built_heads("detect", class_specific_size=True) == {**shared, "size": of_classes}


@pytest.mark.parametrize("task", TASKS)
def test_each_has_a_picture_and_commands(task):
    ((caption, picture),) = re.findall(r"^!\[(.+)\]\((.+)\)$", SECTIONS[task], re.MULTILINE)
    image = read_image(DOCS / picture)
    assert caption and min(image.shape[:2]) > 200
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", SECTIONS[task], re.MULTILINE | re.DOTALL)
    assert [line.split()[1] for line in commands.splitlines()][:3:2] == ["records", "train"]
    (recipe,) = re.findall(r"centernet train configs/(\S+)", commands)
    settings = yaml.safe_load((DOCS.parent / "configs" / recipe).read_text(encoding="utf-8"))
    assert task in ([settings["task"]] if isinstance(settings["task"], str) else settings["task"])
    assert commands.splitlines()[-1].split()[1] in ("detect", "track")


def test_the_readme_leads_here_and_lists_the_same():
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert "(docs/tasks.md)" in text
    table = text.partition("| task | ")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == NAMES
    assert "planned" not in table
