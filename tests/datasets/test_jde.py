"""Image lists and labels with identities as JDE and FairMOT lay them out."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.jde import _read_row, read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError


def add(root, name, rows=(), images="set/images"):
    """Adds an image of 64 x 48 pixels and its label file, where there are rows; the path as a list has it."""
    path = root / images / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(path)
    if rows is not None:
        label = root / images.replace("images", "labels_with_ids") / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(f"{row}\n" for row in rows))
    return f"{images}/{name}.png"


def listed(root, names, file="a.train"):
    (root / file).write_text("".join(f"{name}\n" for name in names))
    return root / file


def write(folder, split, **options):
    return write_records(
        split.items,
        directory=folder / "out",
        name="mix",
        split="train",
        classes=split.classes,
        properties=split.properties,
        **options,
    )


def test_empty_labels_show_no_object(tmp_path):
    names = [add(tmp_path, "a"), add(tmp_path, "b", ["0 3 0.5 0.5 0.5 0.5"]), add(tmp_path, "c", ["", "  "])]
    split = read([listed(tmp_path, names)])
    assert split.classes == ("person",) and [item.num_boxes for item in split.items] == [0, 1, 0]
    assert [item.rows["track_ids"].tolist() for item in split.items] == [[], [3], []]
    assert write(tmp_path, split).images_empty == 2


@pytest.mark.parametrize(
    ("row", "identity", "box", "full"),
    [
        ("0 0 0.5 0.5 0.25 0.5", 0, (24, 12, 40, 36), None),
        ("0 -1 0.500000 0.500000 1.000000 1.000000", -1, (0, 0, 64, 48), None),
        ("0\t17  0.0 0.5 0.5 2.0", 17, (0, 0, 16, 48), (-16, -24, 16, 72)),
        ("0.0 5.0 1.0 0.5 0.25 0.5", 5, (56, 12, 64, 36), (56, 12, 72, 36)),
    ],
)
def test_rows_become_boxes_that_may_leave_the_image(row, identity, box, full, tmp_path):
    split = read([listed(tmp_path, [add(tmp_path, "a", [row])])])
    write(tmp_path, split)
    (record,) = iterate(open_dataset(tmp_path / "out"))
    np.testing.assert_allclose(record.boxes, [box], atol=1e-3)
    np.testing.assert_allclose(record.full_boxes, [full or box], atol=1e-3)
    assert record.rows["track_ids"].tolist() == [identity] and record.video == ""


def test_identities_of_each_list_begin_behind_those_before(tmp_path):
    rows = {"first": [0, 11, -1], "second": [3, -1], "nobody": [-1], "third": [0, 8]}
    lists = []
    for name, ids in rows.items():
        images = [
            add(tmp_path, f"{n}", [f"0 {number} 0.5 0.5 0.1 0.1"], f"{name}/images") for n, number in enumerate(ids)
        ]
        lists.append(listed(tmp_path, images, f"{name}.train"))
    split = read(lists)
    found = [item.rows["track_ids"].tolist() for item in split.items]
    assert found == [[0], [11], [-1], [12 + 3], [-1], [-1], [16], [16 + 8]]
    write(tmp_path, split)
    assert open_dataset(tmp_path / "out").overall("tracks").identities.count == 5


def test_images_are_sorted_and_may_lie_elsewhere(tmp_path):
    names = [add(tmp_path / "data", name, ["0 1 0.5 0.5 0.5 0.5"], "x/images/train/v") for name in ("2", "10", "1")]
    names.append(add(tmp_path / "data", "0", ["0 1 0.5 0.5 0.5 0.5"], "images/images/b"))  # the last one counts
    (tmp_path / "data/images/images/b").mkdir(parents=True, exist_ok=True)
    label = tmp_path / "data/images/labels_with_ids/b/0.txt"
    label.parent.mkdir(parents=True)
    label.write_text("0 1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "lists").mkdir()
    path = listed(tmp_path / "lists", names)
    with pytest.raises(UsageError, match="none of 4 images has labels; looked for"):
        read([path])
    split = read([path], tmp_path / "data")
    assert [item.filename for item in split.items] == sorted(names, key=lambda name: name.split("/"))
    assert [item.num_boxes for item in split.items] == [1] * 4
    assert write(tmp_path, split).images_written == 4


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "annotation not readable", "line 2 of a.txt has 5 columns; expected class, identity"),
        ("0 1 0.5 0.5 0.2 0.2 0.9", "annotation not readable", "has 7 columns"),
        ("0 x 0.5 0.5 0.2 0.2", "annotation not readable", "has a column that is not a number"),
        ("0.5 1 0.5 0.5 0.2 0.2", "annotation not readable", "has a class that is not an integer"),
        ("0 1.5 0.5 0.5 0.2 0.2", "annotation not readable", "has an identity that is neither -1 nor"),
        ("0 -2 0.5 0.5 0.2 0.2", "annotation not readable", "has an identity that is neither -1 nor"),
        ("0 nan 0.5 0.5 0.2 0.2", "annotation not readable", "has an identity that is neither -1 nor"),
        ("0 1 320 240 100 100", "annotation not readable", "has values in pixels"),
        ("1 1 0.5 0.5 0.2 0.2", "unknown class", "line 2 of a.txt has class 1, but there are 1 classes"),
        ("0 1 0.5 nan 0.2 0.2", "not a number", "line 2 of a.txt is not a number"),
        ("0 1 1.5 0.5 0.1 0.2", "outside the image", "line 2 of a.txt lies outside the image"),
        ("0 9 0.5 0.5 0.5 0.5", "line twice", "line 2 of a.txt repeats line 1; generators append"),
        ("0 9 0.2 0.5 0.2 0.5", "identity twice", "line 2 of a.txt has identity 9, as object 1"),
    ],
)
def test_rows_that_cannot_be_used(row, reason, message, tmp_path):
    path = listed(tmp_path, [add(tmp_path, "a", ["0 9 0.5 0.5 0.5 0.5", row])])
    with pytest.raises(DataError, match=message):
        write(tmp_path, read([path]))
    report = write(tmp_path, read([path]), skip_bad=True)
    assert report.boxes_dropped[reason] == 1 and report.boxes_written == 1


def test_a_missing_label_file_is_told(tmp_path):
    path = listed(tmp_path, [add(tmp_path, "a", ["0 1 0.5 0.5 0.5 0.5"]), add(tmp_path, "b", None)])
    with pytest.raises(DataError, match=r"set/images/b.png has no label file; write an empty one"):
        write(tmp_path, read([path]))
    assert write(tmp_path, read([path]), skip_bad=True).images_written == 1


def labelled_video(root, frames, identity):
    rows = [[f"0 {identity(frame, who)} {0.1 + 0.15 * who} 0.5 0.1 0.2" for who in range(5)] for frame in range(frames)]
    return [add(root, f"{n + 1:06d}", one, "MOT17/images/train/v/img1") for n, one in enumerate(rows)]


@pytest.mark.parametrize(
    ("identity", "rename", "warned"),
    [
        (lambda frame, who: 5 * frame + who, False, True),
        (lambda frame, who: who, False, False),
        (lambda frame, who: -1, False, False),
        (lambda frame, who: 5 * frame + who, True, False),  # single images show everybody once
    ],
)
def test_identities_of_an_unsorted_gt_are_warned_of(identity, rename, warned, tmp_path, caplog):
    names = labelled_video(tmp_path, 6, identity)
    if rename:
        names = names[::2]
        names += [add(tmp_path, f"s{n}", [f"0 {100 + n} 0.5 0.5 0.1 0.2"]) for n in range(30)]
    with caplog.at_level(logging.WARNING):
        read([listed(tmp_path, names)])
    assert ("nearly as many identities as boxes (30 of 30)" in caplog.text) == warned
    assert ("records mot" in caplog.text) == warned


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", UsageError, "names no images"),
        ("set/images/a.txt\n", DataError, "which is no image"),
        ("set/pictures/a.png\n", DataError, "no folder 'images' in its path"),
        ("/set/images/a.png\n", UsageError, "outside the folder of the images. Pass --outside"),
        ("../images/a.png\n", UsageError, "outside the folder"),
        ("set/images/a.png\nset/images/a.png\n", DataError, "again, after"),
        ("set/images/b.png\n", UsageError, "none of 1 images has labels; looked for .*labels_with_ids"),
    ],
)
def test_lists_that_cannot_be_used(text, error, message, tmp_path):
    add(tmp_path, "a", ["0 1 0.5 0.5 0.5 0.5"])
    (tmp_path / "a.train").write_text(text)
    with pytest.raises(error, match=message):
        read([tmp_path / "a.train"])


def test_wrong_calls_are_told(tmp_path):
    for lists, images, message in (([], None, "no list"), ([tmp_path / "no"], None, "no such list")):
        with pytest.raises(UsageError, match=message):
            read(lists, images)
    with pytest.raises(UsageError, match="no such folder"):
        read([listed(tmp_path, ["images/a.png"])], tmp_path / "nowhere")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9), st.integers(-1, 10**6), *[st.floats(-1, 1)] * 2, *[st.floats(0.01, 1)] * 2)
def test_rows_read_back(label, identity, x, y, width, height):
    found, number, box = _read_row(f"{label} {identity} {x!r} {y!r} {width!r} {height!r}".split())
    assert (found, number) == (label, identity)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1])
    np.testing.assert_allclose(middle, (x, y, width, height), atol=1e-9)


def test_the_command_reads_several_lists(tmp_path):
    lists = [
        listed(
            tmp_path,
            [add(tmp_path, f"{n}", ["0 4 0.5 0.5 0.5 0.5"], f"{name}/images") for n in range(2)],
            f"{name}.txt",
        )
        for name in ("a", "b")
    ]
    arguments = ["jde", *map(str, lists), "--images", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--classes", "walker"])
    assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == ("walker",)
    assert [record.rows["track_ids"].tolist() for record in iterate(dataset)] == [[4], [4], [9], [9]]
