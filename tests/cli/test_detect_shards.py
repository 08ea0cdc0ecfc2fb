"""`centernet detect --format jsonl|parquet`: results in shards, runs that go on, and what is refused."""

import json
import os
import shutil

import pytest

from centernet_tf.cli import main
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.draw import save_image
from centernet_tf.shards import formats
from centernet_tf.shards.run import open_run

pytestmark = pytest.mark.usefixtures("eagerly")
SHARDS = ("--out", "out", "--format", "jsonl", "--block-size", "2", "--batch-size", "2")


@pytest.fixture
def call(spot_model, tmp_path, monkeypatch, capfd, draw_spots):
    """Function (*arguments behind the model) -> exit code, output, errors; runs in a folder with five images in in."""
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        save_image(tmp_path / "in" / f"{number}.png", draw_spots(96, 64, (30 + number, 40, 0), (70, 20, number % 2)))

    def run(*arguments, model=spot_model):
        with pytest.raises(SystemExit) as end:
            main(["detect", str(model), *map(str, arguments)])
        return end.value.code or 0, *capfd.readouterr()

    return run


def parts():
    return {path.name: path.stat().st_mtime_ns for path in sorted(open_run("out").folder.glob("part-*"))}


@pytest.mark.parametrize("format", formats.FORMATS)
def test_rows_are_those_of_detect(call, format):
    code, output, errors = call("in", "--out", "out", "--format", format, "--block-size", "2", "--batch-size", "2")
    assert code == 0, errors
    lines = output.splitlines()
    assert lines[0].startswith("5 images: 10 objects (")
    assert lines[1].startswith("5 images in ") and lines[1].endswith(" images/s")
    assert lines[2] == f"Results: out/part-*.{format}"
    assert call("in", "--out", "plain", "--no-draw", "--batch-size", "2")[0] == 0
    with open("plain/detections.json") as file:  # noqa: PTH123
        plain = json.load(file)
    assert list(open_run("out").rows()) == plain["images"]
    told = json.loads(open("out/run.json").read())  # noqa: PTH123, SIM115
    assert {key: told[key] for key in ("model", "threshold", "input", "categories")} == {
        key: plain[key] for key in ("model", "threshold", "input", "categories")
    }
    assert sorted(os.listdir("out")) == ["images.jsonl", *parts(), "run.json", "summary.json"]  # noqa: PTH208
    assert list(parts()) == [f"part-{number:05d}.{format}" for number in range(3)]


def test_a_run_goes_on_where_it_was_stopped(call, tmp_path):
    assert call("in", *SHARDS)[0] == 0
    first, rows = parts(), list(open_run("out").rows())
    (tmp_path / "out" / "part-00001.jsonl").unlink()
    (tmp_path / "out" / ".part-00001.writing-killed.jsonl").write_text('{"id":')
    code, output, _ = call("in", *SHARDS)
    assert code == 0 and "2 images in " in output and "; 3 were done before" in output
    again = parts()
    assert {name for name in first if first[name] != again[name]} == {"part-00001.jsonl"}
    assert list(open_run("out").rows()) == rows
    assert not list((tmp_path / "out").glob("*writing*"))
    code, output, _ = call("in", *SHARDS)
    assert code == 0 and "0 images in " in output and parts() == again


def test_another_order_of_the_same_images_is_the_same_run(call, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"in/{number}.png\n" for number in (3, 1, 0, 2, 4)))
    assert call("list.txt", *SHARDS)[0] == 0
    before = parts()
    assert call("in", *SHARDS)[0] == 0
    assert parts() == before


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ("rm in/0.png", (), "was begun with 5 images, and 4 were given now, or others"),
        ("mv in/0.png in/7.png", (), "was begun with 5 images, and 5 were given now, or others"),
        ("", ("--threshold", "0.5"), "was begun with threshold 0.3, not 0.5"),
        ("", ("--block-size", "3"), "was begun with block_size 2, not 3"),
        ("", ("--flip",), "was begun with search"),
        ("rm out/run.json", (), ", which no run.json describes"),
        ("rm -r out; touch out", (), "out: this is a file"),
    ],
)
def test_a_run_that_was_another(call, change, options, said):
    assert call("in", *SHARDS)[0] == 0
    os.system(change)
    code, _, errors = call("in", *SHARDS, *options)
    assert code == 2 and said in errors


def test_another_model_is_another_run(call, spot_model, tmp_path):
    assert call("in", *SHARDS)[0] == 0
    model = tmp_path / "other.keras"
    shutil.copy(spot_model, model)
    code, _, errors = call("in", *SHARDS, model=model)
    assert code == 2 and "was begun with model " in errors


@pytest.mark.parametrize("format", formats.FORMATS)
def test_bad_images_are_counted_and_told_in_their_rows(call, tmp_path, format):
    (tmp_path / "in" / "2.png").write_bytes(b"")
    (tmp_path / "list.txt").write_text("".join(f"in/{number}.png\n" for number in range(6)))
    options = ("list.txt", "--out", "out", "--format", format, "--block-size", "2")
    code, _, errors = call(*options)
    assert code == 1 and "in/2.png: the image file is empty (0 bytes)." in errors
    assert "Use --skip-bad to continue without it." in errors and list(parts()) == [f"part-00000.{format}"]
    code, output, errors = call(*options, "--skip-bad")
    assert code == 0, errors
    assert output.startswith("4 images: ") and "Could not be read: 2\n  in/2.png: the image file is empty" in output
    rows = list(open_run("out").rows())
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert ["reason" in row for row in rows] == [False, False, True, False, False, True]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["images"], summary["bad"], summary["searched_now"]) == (4, 2, 4)


def test_parts_that_are_not_whole_are_found_in_the_end(call, tmp_path):
    assert call("in", *SHARDS)[0] == 0
    run = open_run("out")
    part, wrong = run.part(1), "does not answer each of its 2 images once"
    text = part.read_text()
    first, second = text.splitlines(keepends=True)
    cases = {"": wrong, first: wrong, second * 2: wrong, text * 2: wrong, second + first: wrong, text[:-30]: "damaged"}
    for damaged, said in cases.items():
        part.write_text(damaged)
        with pytest.raises(DataError, match=f"part-00001.jsonl: {said}.* Remove it and run again"):
            list(run.rows())
    code, _, errors = call("in", *SHARDS)
    assert code == 1 and "out/part-00001.jsonl: damaged" in errors
    part.unlink()
    assert call("in", *SHARDS)[0] == 0 and part.read_text() == text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--format", "jsonl", "--draw"), "--draw: is not written with --format jsonl"),
        (("--format", "jsonl", "--json", "x.json"), "--json: is not written with"),
        (("--format", "jsonl", "--heatmaps"), "--heatmaps: is not written with"),
        (("--format", "jsonl", "--kitti", "x"), "--kitti: is not written with"),
        (("--format", "jsonl", "--max-frames", "2"), "--max-frames: is not written with"),
        (("--format", "csv"), "--format 'csv': unknown."),
        (("--engine", "rya"), "--engine 'rya': unknown. Did you mean 'ray'?"),
        (("--engine", "ray", "--format", "json"), "--engine ray writes shards: give --format jsonl or parquet"),
        (("--workers", "2"), "--workers: --engine local has none. Give --engine ray"),
        (("--block-size", "2"), "--block-size is of shards"),
        (("--format", "jsonl", "--camera", "x"), "--camera: a model of detect does not use a camera"),
    ],
)
def test_what_is_refused(call, options, said):
    code, _, errors = call("in", "--out", "out", *options)
    assert code == 2 and said in errors
    assert not os.path.exists("out")  # noqa: PTH110


def test_a_missing_package_ends_it_before_any_work(call, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    code, _, errors = call("in", "--out", "out", "--engine", "ray", model="no_such.keras")
    assert code == 2 and "--engine ray: ray is missing" in errors and "pip install 'centernet_tf[ray]'" in errors


def test_what_is_no_run(tmp_path):
    with pytest.raises(UsageError, match=r"holds no run.json"):
        open_run(tmp_path)
    for text, said in (("[]", "describes no run"), ("{", "cannot be read"), ("{}", "lacks 'block_size'")):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(DataError, match=said):
            open_run(tmp_path)
