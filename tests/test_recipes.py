from pathlib import Path

import pytest
import yaml

from centernet_tf import recipes
from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.tasks import TASKS

ROOT = Path(__file__).parents[1]


def test_all_are_there_and_say_what_they_are_for():
    found = recipes.recipes()
    assert set(found) == {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    assert all(10 < len(said) < 240 and "centernet " not in said for said in found.values()), found


def test_the_installed_ones_come_first(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "configs").mkdir(parents=True)
    (package / "configs/mine.yaml").write_text("# Of the package. More.\ntask: detect\n")
    monkeypatch.setattr(recipes, "__file__", str(package / "recipes.py"))
    assert recipes.recipes() == {"mine": "Of the package"}


@pytest.mark.parametrize("name", ["detect_shapes", "detect_shapes.yaml", "configs/detect_shapes.yaml"])
def test_one_is_found_by_name_wherever_one_is(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipes.find(name).read_bytes() == (ROOT / "configs/detect_shapes.yaml").read_bytes()


def test_a_file_of_ones_own_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Path("detect_shapes")
    own.write_text("task: detect\n")
    assert recipes.find("detect_shapes") == own


@pytest.mark.parametrize("name", ["detect_shape", "elsewhere/detect_shapes.yaml", "configs/detect_shape.yaml"])
def test_what_is_not_there_is_told(name):
    with pytest.raises(UsageError, match=r"no such file, and no recipe of that name\. Did you mean 'detect_shapes'\?"):
        recipes.find(name)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_one_for_ones_own_data(task):
    settings = parse_settings(yaml.safe_load(recipes.own(task)), task)
    assert settings.task == (task,)


def test_no_such_task():
    with pytest.raises(UsageError, match=r"'detec' is no task\. Did you mean 'detect'"):
        recipes.own("detec")
