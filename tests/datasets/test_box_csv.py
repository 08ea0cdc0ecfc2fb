"""CSV files as tools and competitions write them: headings of many names, or none."""

import csv as standard
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.box_csv import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError


def make(folder, text, images=("a.jpg",)):
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(folder / name)
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder / "labels.csv"


def write(folder, split, **options):
    write_records(split.items, directory=folder / "out", name="pets", split="train", classes=split.classes, **options)
    return list(iterate(open_dataset(folder / "out")))


def boxes(split):
    return {item.filename: item.boxes.tolist() for item in split.items}


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,cat,1,2,30,40\n",
        "image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,30,40,cat\n",
        "Path;X1;Y1;X2;Y2;Class Name\na.jpg;1;2;30;40;cat\n",
        "frame,x_min,x_max,y_min,y_max,category\na.jpg,1,30,2,40,cat\n",
        '"image","xmin","ymin","xmax","ymax","label"\r\n"a.jpg",1.0,2.0,30.0,40.0,"cat"\r\n',
        "\ufeffimage_name\tleft\ttop\tright\tbottom\tlabel_name\na.jpg\t1\t2\t30\t40\tcat\n",
        "a.jpg,1,2,30,40,cat\n",
        "\n./a.jpg, 1, 2, 30, 40, cat\n\n",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,cat,1,0.015625,0.46875,0.0416667,0.8333333\n",
    ],
)
def test_columns_are_found(text, tmp_path):
    split = read(make(tmp_path, text))
    assert split.classes == ("cat",)
    (record,) = write(tmp_path, split)
    np.testing.assert_allclose(record.boxes, [(1, 2, 30, 40)], atol=1e-3)


def test_rows_gather_by_image_and_empty_ones_are_background(tmp_path):
    text = "sub/b.jpg,,,,,\na.jpg,1,2,3,4,dog\nsub/b.jpg,,,,,\na.jpg,5,6,7,8,cat\nsub\\c.jpg,1,1,9,9,cat\n"
    split = read(make(tmp_path, text, ("a.jpg", "sub/b.jpg", "sub/c.jpg")))
    assert split.classes == ("cat", "dog")
    assert boxes(split) == {"a.jpg": [[1, 2, 3, 4], [5, 6, 7, 8]], "sub/b.jpg": [], "sub/c.jpg": [[1, 1, 9, 9]]}
    assert [len(record.boxes) for record in write(tmp_path, split)] == [2, 0, 1]


def test_a_file_of_empty_images_needs_classes(tmp_path):
    path = make(tmp_path, "filename,xmin,ymin,xmax,ymax,class\na.jpg,,,,,\n")
    with pytest.raises(UsageError, match="no row has a box with a class"):
        read(path)
    assert boxes(read(path, classes=["cat"])) == {"a.jpg": []}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.jpg", "b, c.jpg", 'd "e".png', "\u00e4/\u00f6.jpg"]),
            *[st.floats(-50, 5000).map(lambda value: round(value, 3)) for _ in range(4)],
            st.text("abc ,;'\"\u00e9", min_size=1).filter(lambda name: name == name.strip() and name.strip("\"'")),
        ),
        min_size=1,
        max_size=9,
    ),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, rows, headings):
    rows = [*rows, ("z.jpg", 1, 2, 3, 4, "last")]
    stream = io.StringIO()
    writer = standard.writer(stream)
    writer.writerows(([("image", "x1", "y1", "x2", "y2", "class")] if headings else []) + rows)
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    split = read(path)
    assert split.classes == tuple(sorted({row[5] for row in rows}))
    for item in split.items:
        own = [row for row in rows if row[0] == item.filename]
        assert item.boxes.tolist() == [list(row[1:5]) for row in own] and list(item.classes) == [row[5] for row in own]


HEAD = "filename,xmin,ymin,xmax,ymax,class\n"


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ("a.jpg,1,2,three,4,cat", "annotation not readable", "line 3 of labels.csv has 'three' for xmax; expected a"),
        ("a.jpg,1,2,,4,cat", "annotation not readable", "line 3 of labels.csv has '' for xmax; expected a number"),
        ("a.jpg,1,2", "annotation not readable", "line 3 of labels.csv has '' for xmax"),
        ("a.jpg,1,2,3,4,", "annotation not readable", "line 3 of labels.csv has no class"),
        ("a.jpg,nan,2,3,4,cat", "not a number", "line 3 of labels.csv is not a number"),
        ("a.jpg,1,2,1e999,4,cat", "not a number", "line 3 of labels.csv is not a number"),
        ("a.jpg,9,2,3,4,cat", "negative size", "line 3 of labels.csv has a negative size"),
        ("a.jpg,3,2,3,4,cat", "zero area", "line 3 of labels.csv has zero area"),
        ("a.jpg,99,2,110,4,cat", "outside the image", "line 3 of labels.csv lies outside the image"),
        ("a.jpg,1,2,3,4,cow", "unknown class", "line 3 of labels.csv has class 'cow'"),
    ],
)
def test_bad_rows_are_named_by_line(row, reason, message, tmp_path):
    split = read(make(tmp_path, f"{HEAD}a.jpg,1,2,30,40,cat\n{row}\n"), classes=["cat"])
    with pytest.raises(DataError) as error:
        write(tmp_path, split)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    write(tmp_path, split, skip_bad=True)
    assert open_dataset(tmp_path / "out").report["boxes"]["dropped"] == {reason: 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"labels.csv: is empty; expected headings such as filename"),
        ("one,two,three\n", "line 1 is 'one,two,three'; expected headings such as"),
        ("filename,xmin,ymin,xmax,class\na.jpg,1,2,3,cat\n", "these headings lack ymax"),
        ("a.jpg,1,2,3,4\n", "line 1 is 'a.jpg,1,2,3,4'; expected"),
        (HEAD + "a.jpg,1,2,3,4,cat\n,1,2,3,4,cat\n", r"labels.csv: line 3 names no image"),
        (HEAD + "a.jpg,1,2,3,4," + "x" * 200_000, "line 2 is not readable as CSV"),
        (HEAD + "a.jpg,1,2,3,4,c\0t", "line 2 holds a NUL"),
    ],
)
def test_files_that_cannot_be_understood_are_told(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, text))


def test_images_elsewhere_missing_and_of_another_size(tmp_path):
    text = f"{HEAD}gone.jpg,1,2,3,4,cat\n../b.jpg,1,2,3,4,cat\na.jpg,1,2,3,4,cat\n"
    path = make(tmp_path, text, ("photos/a.jpg", "b.jpg"))
    assert len(write(tmp_path, read(path, tmp_path / "photos"), skip_bad=True)) == 1
    assert len(write(tmp_path, read(path, tmp_path / "photos", outside=True), skip_bad=True)) == 2
    with pytest.raises(DataError, match=r"its file_name leads out of the folder of images; pass --outside"):
        write(tmp_path, read(path, tmp_path / "photos"))
    path.write_text("image,x1,y1,x2,y2,class,width,height\na.jpg,1,2,3,4,cat,48,64\n")
    with pytest.raises(DataError, match="annotated for 48 x 64 pixels, but the image has 64 x 48"):
        write(tmp_path, read(path, tmp_path / "photos"))


def test_wrong_paths_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such CSV file"):
        read(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match="no such folder of images"):
        read(make(tmp_path, HEAD), tmp_path / "gone")


def test_the_command_writes_both_splits(tmp_path):
    names = [f"{number}.jpg" for number in range(8)]
    path = make(tmp_path, HEAD + "".join(f"{name},1,2,30,40,cat\n" for name in names), names)
    call = ["csv", str(path), "--out", str(tmp_path / "mine"), "--validation", "0.4"]
    assert CliRunner().invoke(app, call).exit_code == 0
    assert sum(open_dataset(tmp_path / "mine" / split).images for split in ("train", "val")) == 8
