from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from centernet_tf import recipes
from centernet_tf.cli.init import init
from centernet_tf.config import parse_settings, read_settings
from centernet_tf.config.commented import commented
from centernet_tf.data import choices
from centernet_tf.data.dataset import open_dataset
from centernet_tf.errors import UsageError
from centernet_tf.tasks import TASKS

app = typer.Typer()
app.command()(init)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)


def test_the_list_has_every_recipe():
    result = call("--list")
    assert result.exit_code == 0
    assert not Path("mine.yaml").exists()
    assert all(name in result.output for name in recipes.recipes())


@pytest.mark.parametrize("task", TASKS)
def test_without_records_it_is_the_recipe(task):
    assert call(task, "--short").exit_code == 0
    expected = recipes.own(task).replace(f"configs/{task}_own.yaml", "mine.yaml")
    assert Path("mine.yaml").read_text(encoding="utf-8") == expected
    assert "centernet train mine.yaml" in expected


@pytest.mark.parametrize("task", TASKS)
def test_all_other_settings_stand_below_it(task):
    assert call(task).exit_code == 0
    text, recipe = Path("mine.yaml").read_text(encoding="utf-8"), recipes.own(task)
    short = recipe.replace(f"configs/{task}_own.yaml", "mine.yaml")
    assert text == short + commented(yaml.safe_load(recipe), [task])
    assert read_settings("mine.yaml") == parse_settings(yaml.safe_load(recipe), task)
    Path("mine.yaml").write_text(text.replace("# train.patience: null", "train.patience: 7"), encoding="utf-8")
    assert read_settings("mine.yaml").train.patience == 7


def test_nothing_is_overwritten():
    Path("mine.yaml").write_text("precious")
    result = call()
    assert isinstance(result.exception, UsageError) and "mine.yaml exists" in str(result.exception)
    assert Path("mine.yaml").read_text() == "precious"
    assert call("--out", "other.yaml").exit_code == 0


@pytest.mark.parametrize("task", TASKS)
def test_with_records_it_has_their_numbers(task, shapes_train):
    result = call(task, "--data", shapes_train.directory)
    assert result.exit_code == 0, result.exception
    text = Path("mine.yaml").read_text(encoding="utf-8")
    settings, recipe = read_settings("mine.yaml"), parse_settings(yaml.safe_load(recipes.own(task)), task)
    assert settings.data.train == Path(shapes_train.directory)
    assert "auto" not in (settings.data.size, settings.train.epochs, settings.train.batch_size)
    if recipe.data.size == "auto":
        data = open_dataset(shapes_train.directory)
        size, why = choices.input_size(choices.look(data.files, data.classes), 32)
        assert settings.data.size == size and f"# size: {why}" in text
    else:
        assert settings.data.size == recipe.data.size
    batch = settings.train.batch_size
    if recipe.train.batch_size == "auto":
        assert f"# batch_size: {choices.batch(shapes_train.images)[1]}" in text
        assert batch == choices.batch(shapes_train.images)[0]
    if recipe.train.epochs == "auto":
        count, why = choices.epochs(shapes_train.images, batch)
        assert settings.train.epochs == count and f"# epochs: {why}" in text
    kept = {"data": {"train", "validation", "size"}, "train": {"epochs", "batch_size"}}
    assert settings.model_dump(exclude=kept) == recipe.model_dump(exclude=kept)


def test_validation_records_are_found_beside_or_named(shapes_train, shapes_val):
    Path("set").mkdir()
    Path("set/train").symlink_to(shapes_train.directory)
    call("--data", "set/train", "--out", "none.yaml")
    assert read_settings("none.yaml").data.validation is None
    Path("set/val").symlink_to(shapes_val.directory)
    call("--data", "set/train", "--out", "beside.yaml")
    assert read_settings("beside.yaml").data.validation == Path("set/val")
    call("--data", "set/train", "--validation", shapes_val.directory, "--out", "named.yaml")
    assert read_settings("named.yaml").data.validation == Path(shapes_val.directory)


def test_records_that_are_not_there():
    result = call("--data", "nowhere")
    assert isinstance(result.exception, UsageError) and not Path("mine.yaml").exists()
