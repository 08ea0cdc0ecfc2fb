"""Pascal VOC folders, as the challenge and as the tools write them."""

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import usable_objects
from centernet_tf.datasets.voc import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError


def an_object(name="cat", box=(11, 21, 30, 40), difficult=0):
    corners = "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def annotate(root, stem, objects="", filename=None, size=(64, 48), image=True):
    """Adds one annotation, and its image of 64 x 48 pixels, to a VOC folder."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    filename = f"{stem}.jpg" if filename is None else filename
    if image:
        Image.new("RGB", (64, 48)).save(root / "JPEGImages" / f"{stem}.jpg")
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    text = f"<annotation><filename>{filename}</filename>{sides}{objects}</annotation>"
    (root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")


def list_split(root, split, *rows):
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_image_without_objects_is_kept(tmp_path):
    annotate(tmp_path, "a")
    classes, (item,), _ = read(tmp_path, classes=["cat"])
    assert classes == ("cat",) and item.boxes.shape == (0, 4) and item.num_boxes == 0
    assert (item.width, item.height, item.filename) == (64, 48, "a.jpg")


@pytest.mark.parametrize(
    ("origin", "expected"), [("auto", (10, 20, 30, 40)), ("one", (10, 20, 30, 40)), ("zero", (11, 21, 30, 40))]
)
def test_corners_become_continuous(origin, expected, tmp_path):
    annotate(tmp_path, "a", an_object(box=(11, 21, 30, 40)))
    _, (item,), _ = read(tmp_path, origin=origin)
    np.testing.assert_array_equal(item.boxes, [expected])


def test_whole_image_from_one_is_the_whole_image(tmp_path):
    annotate(tmp_path, "a", an_object(box=(1, 1, 64, 48)))
    _, (item,), _ = read(tmp_path)
    np.testing.assert_array_equal(item.boxes, [(0, 0, 64, 48)])


def test_corners_below_one_show_counting_from_zero(tmp_path, caplog):
    annotate(tmp_path, "a", an_object(box=(11, 21, 30, 40)))
    annotate(tmp_path, "b", an_object(box=(0, 5, 30, 40)))
    list_split(tmp_path, "train", "a")
    _, (item,), _ = read(tmp_path, "train")  # the whole folder decides, so that splits agree
    np.testing.assert_array_equal(item.boxes, [(11, 21, 30, 40)])
    assert "boxes of 1 files, such as b.xml, begin below pixel 1" in caplog.text
    _, (item,), _ = read(tmp_path, "train", origin="one")
    np.testing.assert_array_equal(item.boxes, [(10, 20, 30, 40)])


@pytest.mark.parametrize(("box", "reason"), [((9, 9, 9, 9), "zero area"), ((9, 9, 8, 20), "negative size")])
@pytest.mark.parametrize("origin", ["one", "zero"])
def test_degenerate_boxes_stay_degenerate(box, reason, origin, tmp_path):
    annotate(tmp_path, "a", an_object() + an_object(box=box))
    classes, items, _ = read(tmp_path, origin=origin)
    options = {"directory": tmp_path / "out", "name": "pets", "split": "train", "classes": classes}
    with pytest.raises(DataError, match=r"a\.jpg: object 2 of a\.xml has .* left 9, top 9"):
        write_records(items, **options)
    report = write_records(items, **options, skip_bad=True)
    assert report.boxes_dropped == {reason: 1} and report.boxes_written == 1


def test_split_lists_choose_images(tmp_path):
    for stem in ("c", "a", "b with space", "d"):
        annotate(tmp_path, stem, an_object(stem))
    list_split(tmp_path, "train", "c", "", "a")
    list_split(tmp_path, "val", "b with space  1", "d -1")
    classes, items, _ = read(tmp_path, "train")
    assert classes == ("a", "b with space", "c", "d")  # the same in every split
    assert [item.key for item in items] == ["a", "c"]
    assert [item.key for item in read(tmp_path, "val")[1]] == ["b with space", "d"]
    assert len(read(tmp_path)[1]) == 4
    with pytest.raises(UsageError, match=r"no list of split 'trian'. Known: train, val. Did you mean 'train'\?"):
        read(tmp_path, "trian")
    list_split(tmp_path, "twice", "a", "a")
    with pytest.raises(DataError, match="a is listed more than once"):
        read(tmp_path, "twice")


@pytest.mark.parametrize(
    ("stems", "ids"),
    [
        (("2007_000027", "2007_000032"), [2007000027, 2007000032]),
        (("cell_7", "cell_8"), [7, 8]),
        (("a1_2", "a12"), [1, 2]),
        (("a", "b2"), [1, 2]),
    ],
)
def test_ids_are_digits_where_these_differ(stems, ids, tmp_path):
    for stem in stems:
        annotate(tmp_path, stem)
    _, items, _ = read(tmp_path)
    assert [item.image_id for item in items] == ids


def test_images_lie_beside_the_xml_or_where_told(tmp_path):
    annotate(tmp_path / "voc", "a")
    flat, apart = tmp_path / "flat", tmp_path / "apart"
    flat.mkdir()
    apart.mkdir()
    (flat / "a.xml").write_bytes((tmp_path / "voc" / "Annotations" / "a.xml").read_bytes())
    Image.new("RGB", (64, 48)).save(flat / "a.png")
    Image.new("RGB", (64, 48)).save(apart / "a.JPG", "JPEG")
    assert read(flat)[1][0].source == flat / "a.png"
    assert read(flat, images=apart)[1][0].source == apart / "a.JPG"
    with pytest.raises(UsageError, match="no such folder of images"):
        read(flat, images=tmp_path / "nowhere")


def test_name_of_the_xml_counts_before_the_filename_in_it(tmp_path):
    annotate(tmp_path, "a", filename="C:\\data\\b.jpg")
    annotate(tmp_path, "b", filename="old.jpg")
    annotate(tmp_path, "c", filename="b.jpg", image=False)
    assert [item.filename for item in read(tmp_path)[1]] == ["a.jpg", "b.jpg", "b.jpg"]


def test_declared_classes_order_and_restrict(tmp_path):
    annotate(tmp_path, "a", an_object("dog", difficult=1) + an_object("cat") + an_object("cow"))
    assert read(tmp_path)[0] == ("cat", "cow", "dog")
    classes, items, _ = read(tmp_path, classes=["dog", "cat"])
    options = {"directory": tmp_path / "out", "name": "pets", "split": "train", "classes": classes}
    with pytest.raises(DataError, match=r"a\.jpg: object 3 of a\.xml has class 'cow', which is not declared"):
        write_records(items, **options)
    write_records(items, **options, skip_bad=True)
    (record,) = iterate(open_dataset(tmp_path / "out"))
    np.testing.assert_array_equal(record.classes, [0, 1])
    np.testing.assert_array_equal(record.difficult, [True, False])


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("<object><name>cat</name></object>", "object 1 of a.xml has no number for xmin"),
        (an_object(box=(1, 2, "wide", 4)), "object 1 of a.xml has no number for xmax"),
        (an_object(name=" "), "object 1 of a.xml has no name"),
        (an_object(box=("nan", 2, 3, 4)), "object 1 of a.xml is not a number"),
        ("<object>", "is not readable as XML"),
    ],
)
def test_bad_annotations_are_named(objects, message, tmp_path):
    annotate(tmp_path, "a", objects)
    _, items, _ = read(tmp_path)
    with pytest.raises(DataError) as error:
        write_records(items, directory=tmp_path / "out", name="pets", split="train", classes=["cat"])
    assert message in str(error.value) and str(error.value).startswith("a.jpg: ")


def test_missing_annotation_or_image_is_bad(tmp_path):
    annotate(tmp_path, "a", an_object())
    annotate(tmp_path, "b", an_object(), image=False)
    list_split(tmp_path, "train", "a", "b", "c")
    classes, items, _ = read(tmp_path, "train")
    options = {"directory": tmp_path / "out", "name": "pets", "split": "train", "classes": classes}
    report = write_records(items, **options, skip_bad=True)
    assert [name for name, _ in report.images_skipped] == ["b.jpg", "c.jpg"]
    assert "the image file does not exist" in report.images_skipped[0][1]
    assert "c.xml does not exist" in report.images_skipped[1][1]
    assert (report.boxes_in, report.boxes_dropped) == (2, {"image skipped": 1})


def test_size_zero_means_unknown(tmp_path):
    annotate(tmp_path, "a", size=(0, 0))
    (item,) = read(tmp_path)[1]
    assert (item.width, item.height) == (None, None)


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no XML files"):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"no such folder. Give a folder in Pascal VOC format"):
        read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"origin is 'won'; expected auto, one, zero. Did you mean 'one'\?"):
        read(tmp_path, origin="won")


@pytest.mark.parametrize("side", ["inf", "1e308", "nan", "-5", "1" * 400])
def test_an_impossible_size_is_a_fault_of_its_image(side, tmp_path):
    text = "<annotation><size><width>{}</width><height>48</height></size></annotation>"
    (tmp_path / "a.xml").write_text(text.format(side))
    (tmp_path / "b.xml").write_text(text.format(64))
    first, second = read(tmp_path)[1]
    assert "declares an image of" in first.broken.detail and second.broken is None


@pytest.mark.parametrize("corner", ["nan", "-inf", "inf", "1e308"])
def test_a_corner_that_is_no_number_does_not_move_the_others(corner, tmp_path):
    box = "<object><name>a</name><bndbox><xmin>{}</xmin><ymin>3</ymin><xmax>20</xmax><ymax>9</ymax></bndbox></object>"
    (tmp_path / "a.xml").write_text(f"<annotation>{box.format(corner)}{box.format(5)}</annotation>")
    (item,) = read(tmp_path)[1]
    assert item.boxes[1].tolist() == [4, 2, 20, 9]
    objects = usable_objects(item, 64, 48, ["a"])
    assert len(objects.faults) == 1 and objects.boxes.tolist() == [[4, 2, 20, 9]]


def test_a_list_in_another_encoding_is_told(tmp_path):
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_bytes("a\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"train.txt: not readable as text \(line 2 is not in UTF-8"):
        read(tmp_path, "train")
