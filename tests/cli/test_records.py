"""The commands read a folder, write records and print what became of it."""

import json
from collections import Counter

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from centernet_tf.cli import main
from centernet_tf.cli.conversion import class_list, print_report
from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.report import Report
from centernet_tf.errors import DataError, UsageError


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def coco_folder(folder, boxes):
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(folder / "images" / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "bbox": box} for number, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json", folder / "images"


@pytest.mark.parametrize("command", ["coco", "voc", "yolo"])
def test_help_teaches_with_an_example(command):
    output = " ".join(run(command, "--help").stdout.split())
    assert f"Example: centernet records {command} " in output and "--skip-bad" in output


def test_coco_becomes_records(tmp_path):
    result = run("coco", *coco_folder(tmp_path, [(1, 2, 10, 10)]), "--out", tmp_path / "pets" / "train", "--shards", 1)
    assert result.exit_code == 0
    dataset = open_dataset(tmp_path / "pets" / "train")
    assert (dataset.name, dataset.split, dataset.classes, dataset.objects) == ("pets", "train", ("cat", "dog"), 1)
    assert "written" in result.stdout and "cat" in result.stdout


def test_bad_boxes_stop_or_are_listed(tmp_path):
    paths = coco_folder(tmp_path, [(1, 2, 10, 10), (3, 3, 0, 0)])
    with pytest.raises(DataError, match=r"a\.jpg: annotation 1 has zero area.*--skip-bad"):
        run("coco", *paths, "--out", tmp_path / "out")
    result = run("coco", *paths, "--out", tmp_path / "out", "--skip-bad")
    assert "left out: zero area" in result.stdout and "left out: a.jpg: annotation 1 has zero area" in result.stdout


def test_voc_folder_with_and_without_lists(tmp_path):
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    text = f"<annotation><object><name>cat</name>{box}</object></annotation>"
    for stem in ("a", "b"):
        (tmp_path / f"{stem}.xml").write_text(text)
        Image.new("RGB", (64, 48)).save(tmp_path / f"{stem}.png")
    run("voc", tmp_path, "--out", tmp_path / "all", "--split", "val", "--classes", "dog,cat", "--name", "pets")
    dataset = open_dataset(tmp_path / "all")
    assert (dataset.name, dataset.split, dataset.images) == ("pets", "val", 2)
    assert dataset.objects_per_class == {"dog": 0, "cat": 2}
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("b\n")
    run("voc", tmp_path, "--out", tmp_path / "listed", "--split", "val")
    assert open_dataset(tmp_path / "listed").images == 1
    with pytest.raises(UsageError, match="no list of split 'train'"):
        run("voc", tmp_path, "--out", tmp_path / "listed")


def test_yolo_becomes_records(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "names.txt").write_text("cat\ndog\n\n")
    run("yolo", tmp_path / "images", "--out", tmp_path / "out", "--classes", tmp_path / "names.txt")
    assert open_dataset(tmp_path / "out").objects_per_class == {"cat": 1, "dog": 0}


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("cat", ("cat",)), ("cat, traffic light", ("cat", "traffic light"))]
)
def test_classes_are_names_with_commas(value, expected):
    assert class_list(value) == expected


@pytest.mark.parametrize(
    ("value", "message"), [("gone.txt", "no such file"), ("a/b", "no such file"), (" ,", "no names")]
)
def test_wrong_classes_are_refused(value, message):
    with pytest.raises(UsageError, match=message):
        class_list(value)


def test_long_lists_are_cut_with_a_hint(tmp_path):
    classes = Counter({f"class {index}": 100 - index for index in range(25)})
    report = Report(
        images_in=30, objects_per_class=classes, images_skipped=[(f"[{index}].jpg", "gone") for index in range(30)]
    )
    console = Console(record=True, width=100)
    print_report(report, (), tmp_path, console)
    text = console.export_text()
    assert "left out: [19].jpg: gone" in text and "[20].jpg" not in text
    assert "class 19" in text and "class 20" not in text and "5 other classes" in text
    assert "... and 10 more" in text and "dataset.yaml lists all" in text


@pytest.mark.parametrize("options", [["--skip-bad"], []])
def test_names_that_are_not_utf8(tmp_path, options, capsys):
    for name in ("a.jpg", "caf\udce9.jpg"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (64, 48)).save(tmp_path / "photos" / name)
        (tmp_path / "photos" / name).with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "photos" / "broken\udcff.jpg").write_bytes(b"no image")
    (tmp_path / "classes.txt").write_text("cat\n")
    arguments = [
        "yolo",
        tmp_path / "photos",
        "--classes",
        tmp_path / "classes.txt",
        "--out",
        tmp_path / "out",
        *options,
    ]
    with pytest.raises(SystemExit) as end:
        main(["records", *map(str, arguments)])
    captured = capsys.readouterr()
    assert (end.value.code or 0, "broken\\xff.jpg" in captured.out + captured.err) == (0 if options else 1, True)
    if options:
        records = list(iterate(open_dataset(tmp_path / "out")))
        assert [record.filename for record in records] == ["a.jpg", "caf\\xe9.jpg"]


def test_a_class_list_in_another_encoding_is_told(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("cat\nk\u00e4fer\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"names.txt: not readable as text \(line 2 is not in UTF-8"):
        class_list(str(path))
    path.write_bytes("cat\nk\u00e4fer\n".encode("utf-16"))
    with pytest.raises(UsageError, match="UTF-8"):
        class_list(str(path))
    with pytest.raises(UsageError, match="no such file"):
        class_list("x" * 5000 + ".txt")
