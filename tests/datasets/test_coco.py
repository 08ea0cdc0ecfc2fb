"""COCO instances: gaps in ids, crowds, boxes over the edge, and files that are not quite COCO."""

import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.coco import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}]


def annotation(number=1, image_id=5, category_id=1, bbox=(1, 2, 10, 20), **fields):
    row = {"id": number, "image_id": image_id, "category_id": category_id, "bbox": bbox, "iscrowd": 0, "area": 50.5}
    return {**row, **fields}


def image_row(number=5, name="a.jpg"):
    return {"id": number, "file_name": name, "width": 64, "height": 48}


def make(folder, annotations=(), images=None, categories=CATEGORIES):
    """Writes the JSON and an image of 64 x 48 pixels for each row; gives the arguments of `read`."""
    images = [image_row()] if images is None else images
    for row in images:
        path = folder / "images" / str(row.get("file_name"))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(path, "JPEG")
    content = {"images": list(images), "annotations": list(annotations), "categories": list(categories)}
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "instances.json", folder / "images"


def write(folder, classes, items, **options):
    return write_records(items, directory=folder / "out", name="coco", split="train", classes=classes, **options)


def test_images_without_annotations_are_kept(tmp_path):
    classes, (item,), _ = read(*make(tmp_path))
    assert classes == ("person", "stop sign", "toothbrush")
    assert (item.image_id, item.filename, item.boxes.shape) == (5, "a.jpg", (0, 4))
    assert write(tmp_path, classes, [item]).images_empty == 1


@pytest.mark.parametrize("name", ["../far.jpg", "/{}/far.jpg", "b/../../far.jpg"])
def test_images_outside_the_folder_are_not_read(tmp_path, name):
    name = name.format(str(tmp_path)[1:])
    arguments = make(tmp_path, [annotation()], [image_row(name="images/../b/a.jpg")])
    Image.new("RGB", (64, 48)).save(tmp_path / "far.jpg")
    arguments[0].write_text(arguments[0].read_text().replace("images/../b/a.jpg", name))
    classes, items, _ = read(*arguments)
    with pytest.raises(DataError, match="its file_name leads out of the folder of images; pass --outside"):
        write(tmp_path, classes, items)
    classes, items, _ = read(*arguments, outside=True)
    assert write(tmp_path, classes, items).images_written == 1


def test_links_in_the_folder_may_lead_anywhere_but_to_no_device(tmp_path):
    arguments = make(tmp_path, [annotation()])
    image = tmp_path / "images" / "a.jpg"
    image.rename(tmp_path / "far.jpg")
    image.symlink_to(tmp_path / "far.jpg")
    classes, items, _ = read(*arguments)
    assert write(tmp_path, classes, items).images_written == 1
    image.unlink()
    image.symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"a\.jpg: the image file cannot be read .*: it is a folder, pipe or device"):
        write(tmp_path, classes, items)


def test_images_without_annotations_are_left_out_on_demand(tmp_path):
    """As the original does of keypoints: any annotation of the classes counts, a crowd too."""
    rows = [annotation(1, 5, 1, iscrowd=1), annotation(2, 6, 13)]
    images = [image_row(number, f"{number}.jpg") for number in (5, 6, 7)]
    arguments = make(tmp_path, rows, images)
    assert [item.image_id for item in read(*arguments, annotated_only=True).items] == [5, 6]
    assert [item.image_id for item in read(*arguments, annotated_only=True, classes=["person"]).items] == [5]
    assert len(read(*arguments).items) == 3


def test_annotations_become_records(tmp_path):
    rows = [
        annotation(1, 139, 90, (1.5, 2, 10, 20)),
        annotation(2, 7, 1, (0, 0, 64, 48), iscrowd=1, area=99999),
        annotation(3, 139, 13, (50, 40, 20, 20), iscrowd="0"),
    ]
    images = [image_row(139, "sub/b.jpg"), image_row(7, "a.jpg")]
    classes, items, _ = read(*make(tmp_path, rows, images))
    report = write(tmp_path, classes, items)
    assert (report.boxes_in, report.boxes_written, report.boxes_clipped, report.boxes_dropped) == (3, 3, 1, {})
    first, second = iterate(open_dataset(tmp_path / "out"))
    assert (first.image_id, second.image_id, second.filename) == (7, 139, "sub/b.jpg")
    np.testing.assert_array_equal(first.crowd, [True])
    np.testing.assert_array_equal(first.area, [64 * 48])
    np.testing.assert_array_equal(second.crowd, [False, False])
    np.testing.assert_array_equal(second.classes, [2, 1])
    np.testing.assert_allclose(second.boxes, [(1.5, 2, 11.5, 22), (50, 40, 64, 48)], rtol=1e-6)
    np.testing.assert_allclose(second.area, [50.5, 50.5])


def test_chosen_classes_count_the_others_as_left_out(tmp_path):
    rows = [annotation(1, category_id=1), annotation(2, category_id=13), annotation(3, category_id=90)]
    paths = make(tmp_path, rows)
    classes, items, _ = read(*paths, classes=["toothbrush", "person"])
    assert classes == ("toothbrush", "person")
    report = write(tmp_path, classes, items)
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (3, 2, {"class not chosen": 1})
    assert report.objects_per_class == {"toothbrush": 1, "person": 1}
    with pytest.raises(UsageError, match=r"no category 'persn'. Did you mean 'person'\? It has: person, stop sign"):
        read(*paths, classes=["persn"])


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        (annotation(9, category_id=2), "unknown class", "annotation 9 has category_id 2, which is not among"),
        (annotation(9, category_id=None), "unknown class", "annotation 9 has category_id None"),
        (annotation(9, bbox=[1, 2, 3]), "annotation not readable", "annotation 9 has bbox [1, 2, 3]; expected four"),
        (annotation(9, bbox=None), "annotation not readable", "annotation 9 has bbox None"),
        (annotation(9, bbox=[1, 2, "3", 4]), "annotation not readable", "expected four numbers"),
        (annotation(9, bbox=[1, 2, float("nan"), 4]), "not a number", "annotation 9 is not a number"),
        (annotation(9, bbox=[1, 2, float("inf"), 4]), "not a number", "annotation 9 is not a number"),
        (annotation(9, bbox=[1, 2, 10**400, 4]), "annotation not readable", "expected four numbers"),
        (annotation(9, bbox=[1, 2, 1e18, 4]), "far beyond the image", "annotation 9 reaches further than any photo"),
        (annotation(9, category_id=True), "unknown class", "annotation 9 has category_id True"),
        (annotation(9, bbox=[1, 2, -3, 4]), "negative size", "annotation 9 has a negative size"),
        (annotation(9, bbox=[0, 2, 5e-324, 4]), "zero area", "annotation 9 has zero area"),
        (annotation(9, bbox=[1, 2, 0, 4]), "zero area", "annotation 9 has zero area"),
        (annotation(9, bbox=[70, 2, 5, 4]), "outside the image", "annotation 9 lies outside the image"),
    ],
)
def test_bad_annotations_are_named(row, reason, message, tmp_path):
    classes, items, _ = read(*make(tmp_path, [annotation(1), row]))
    with pytest.raises(DataError) as error:
        write(tmp_path, classes, items)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    report = write(tmp_path, classes, items, skip_bad=True)
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


def test_annotations_of_no_image_are_counted(tmp_path):
    classes, items, _ = read(*make(tmp_path, [annotation(1), annotation(2, 4), annotation(3, 4)]))
    with pytest.raises(DataError, match=r"image 4: 2 annotations of .*instances.json are of this image"):
        write(tmp_path, classes, items)
    report = write(tmp_path, classes, items, skip_bad=True)
    assert (report.images_in, report.images_written) == (2, 1)
    assert (report.boxes_in, report.boxes_dropped) == (3, {"image skipped": 2})


def test_missing_image_is_named_with_its_path(tmp_path):
    paths = make(tmp_path, [annotation()])
    (tmp_path / "images" / "a.jpg").unlink()
    classes, items, _ = read(*paths)
    with pytest.raises(DataError, match=r"a\.jpg: the image file does not exist \(.*images/a\.jpg\)"):
        write(tmp_path, classes, items)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [image_row(), image_row()]}, "2 images have the id 5"),
        ({"images": [{"id": "5", "file_name": "a.jpg"}]}, "needs an integer 'id' and a 'file_name'"),
        ({"images": [{"id": 5}]}, "needs an integer 'id' and a 'file_name'"),
        ({"annotations": [annotation(image_id="5")]}, "needs an integer 'image_id'"),
        ({"annotations": [annotation(image_id=10**18)]}, "needs an integer 'image_id'"),
        ({"images": [image_row(10**30)]}, "needs an integer 'id' and a 'file_name'; ids have 18 digits at most"),
        ({"categories": [{"id": float("inf"), "name": "a"}]}, "a category lacks"),
        ({"categories": [{"id": 1, "name": ["a"]}]}, "a category lacks"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, "a category lacks"),
        ({"categories": []}, "'categories' is empty"),
        ({"categories": [{"id": 1}]}, "a category lacks"),
        ({"categories": [*CATEGORIES, {"id": 1, "name": "x"}]}, "2 categories have the id 1"),
        ({"categories": [*CATEGORIES, {"id": 2, "name": "person"}]}, "2 categories have the name 'person'"),
    ],
)
def test_what_is_not_coco_is_refused(changes, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(*make(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable as JSON"),
        ("[1, 2]", "no list 'images'"),
        ("[" * 10**5, "not readable as JSON"),
        (f"[{'9' * 5000}]", "not readable as JSON"),
        ('{"images": []}', "no list 'annotations'. Expected COCO instances"),
        ('{"images": {}, "annotations": [], "categories": []}', "no list 'images'"),
    ],
)
def test_damaged_json_is_named(text, message, tmp_path):
    path, images = make(tmp_path)
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read(path, images)
    assert str(path) in str(error.value)


def test_missing_files_are_refused(tmp_path):
    path, images = make(tmp_path)
    with pytest.raises(UsageError, match="no such file of annotations"):
        read(tmp_path / "gone.json", images)
    with pytest.raises(UsageError, match="no such folder of images"):
        read(path, tmp_path / "gone")


def test_huge_areas_are_those_of_the_boxes(tmp_path):
    areas = [10**400, float("inf"), float("nan"), 1e300, 5e-324]
    classes, items, _ = read(*make(tmp_path, [annotation(n, area=area) for n, area in enumerate(areas)]))
    write(tmp_path, classes, items)
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert record.area.tolist() == [200] * 5


@pytest.mark.parametrize("name", ["a\0b.jpg", "\ud800.jpg", "x" * 300 + ".jpg"])
def test_names_that_no_file_can_have_are_missing_images(name, tmp_path):
    annotations, images = make(tmp_path)
    content = json.loads(annotations.read_text())
    content["images"].append(image_row(6, name))
    annotations.write_text(json.dumps(content))
    classes, items, _ = read(annotations, images)
    with pytest.raises(DataError, match="the image file cannot be read"):
        write(tmp_path, classes, items)
    report = write(tmp_path, classes, items, skip_bad=True)
    assert (report.images_in, report.images_written) == (2, 1)
    ((skipped, _),) = report.images_skipped
    assert skipped.isascii() and open_dataset(tmp_path / "out").images == 1


def test_a_file_name_that_is_not_utf8_goes_into_records_as_text(tmp_path):
    annotations, images = make(tmp_path)
    (images / "a.jpg").rename(images / "caf\udce9.jpg")
    content = json.loads(annotations.read_text())
    content["images"][0]["file_name"] = "caf\udce9.jpg"
    annotations.write_text(json.dumps(content))
    classes, items, _ = read(annotations, images)
    assert write(tmp_path, classes, items).images_written == 1
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert record.filename == "caf\\xe9.jpg"
