"""Masks that are saved as images: each layout by hand, and files that are not what they should be."""

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.mask_files import large_parts, read_pixels
from centernet_tf.datasets.mask_folders import SCORED, read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.masks import runs

SIZE = (40, 30)


def block(left, top, right, bottom, value=255, dtype=np.uint8, size=SIZE):
    pixels = np.zeros(size[::-1], dtype)
    pixels[top:bottom, left:right] = value
    return pixels


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


def photo(path, size=SIZE):
    save(path, np.zeros((*size[::-1], 3), np.uint8))


def write(folder, data, **options):
    classes, items, properties = data
    options = {"directory": folder / "out", "name": "a", "split": "train", **options}
    report = write_records(items, classes=classes, properties=properties, **options)
    return report, list(iterate(open_dataset(folder / "out")))


def pixels_of(record):
    return [runs.pixels(runs.read_counts(data), record.size) for data in record.rows["segmentations"]]


@pytest.fixture
def objects(tmp_path):
    """Images a (two objects) and b (none)."""
    root = tmp_path / "data"
    photo(root / "a" / "images" / "a.png")
    save(root / "a" / "masks" / "one.png", block(3, 4, 13, 24))
    save(root / "a" / "masks" / "two.png", block(20, 0, 40, 9, 1, np.uint16))
    photo(root / "b" / "images" / "b.png")
    (root / "b" / "masks").mkdir()
    return root


def test_a_file_for_each_object(tmp_path, objects):
    data = read(objects, class_name="cell")
    assert data.classes == ("cell",) and len(data.items) == 2
    report, (first, second) = write(tmp_path, data)
    assert report.properties == {"masks": {"parted": 0, "masks": 2, "empty": 0, "without": 0}}
    np.testing.assert_allclose(first.boxes, [[3, 4, 13, 24], [20, 0, 40, 9]], rtol=1e-6)
    assert first.area.tolist() == [200, 180] and len(second.boxes) == 0
    for found, expected in zip(pixels_of(first), (block(3, 4, 13, 24), block(20, 0, 40, 9))):
        np.testing.assert_array_equal(found, expected > 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_any_kind_of_file(tmp_path, objects, mode):
    save(objects / "a" / "masks" / "one.png", block(3, 4, 13, 24), mode)
    _, (first, _) = write(tmp_path, read(objects))
    np.testing.assert_array_equal(pixels_of(first)[0], block(3, 4, 13, 24) > 0)


@pytest.mark.parametrize(
    ("pixels", "reason", "text"),
    [
        (
            block(3, 4, 9, 9, size=(30, 40)),
            "mask of another size",
            "mask one.png has 30 x 40 pixels, its image 40 x 30",
        ),
        (block(0, 0, 0, 0), "empty mask", "mask one.png has no pixel above 0"),
        (b"\x89PNG\r\n\x1a\n and no more", "mask not readable", "mask one.png: the mask cannot be read"),
        (b"", "mask not readable", "mask one.png: the mask cannot be read"),
    ],
)
def test_damaged_files_are_told(tmp_path, objects, pixels, reason, text):
    path = objects / "a" / "masks" / "one.png"
    path.write_bytes(pixels) if isinstance(pixels, bytes) else save(path, pixels)
    with pytest.raises(DataError, match=text):
        write(tmp_path, read(objects))
    report, (first, _) = write(tmp_path, read(objects), skip_bad=True)
    assert report.boxes_dropped == {reason: 1} and len(first.boxes) == 1


def test_objects_of_several_parts(tmp_path, objects):
    apart = block(3, 4, 13, 14) + block(20, 4, 25, 14) + block(30, 20, 31, 21)
    save(objects / "a" / "masks" / "one.png", apart)
    report, (first, _) = write(tmp_path, read(objects))
    assert report.properties["masks"]["parted"] == 1 and len(first.boxes) == 2
    report, (first, _) = write(tmp_path, read(objects, split_parts=True))
    assert report.properties["masks"]["parted"] == 0 and len(first.boxes) == 3
    one, other, _ = pixels_of(first)
    np.testing.assert_array_equal(one, (block(3, 4, 13, 14) + block(30, 20, 31, 21)) > 0)  # the speck stays
    np.testing.assert_array_equal(other, block(20, 4, 25, 14) > 0)


@pytest.mark.parametrize(
    ("rows", "parts"), [(["x"], 1), (["x..x"], 2), (["x.", ".x"], 1), (["x.x", "xxx"], 1), (["." * 20, "x.." * 6], 6)]
)
def test_parts(rows, parts):
    found = large_parts(np.array([[one == "x" for one in row] for row in (row.ljust(20, ".") for row in rows)]))
    assert len(found) == parts and np.sum(found, axis=0).max() == 1


def test_images_without_masks_and_masks_without_image(tmp_path, objects):
    (objects / "b" / "masks").rmdir()
    with pytest.raises(DataError, match=r"b.*there is an image, but nothing that tells its masks"):
        write(tmp_path, read(objects))
    save(objects / "c" / "masks" / "one.png", block(0, 0, 5, 5))
    report, records = write(tmp_path, read(objects), skip_bad=True)
    assert [name for name, _ in report.images_skipped] == ["b", "c"] and len(records) == 1
    photo(objects / "a" / "images" / "second.png")
    with pytest.raises(UsageError, match=r"a/images: 2 images; expected one"):
        read(objects)


def test_some_of_the_images(tmp_path, objects):
    names = tmp_path / "names.txt"
    names.write_text("b\n\n", encoding="utf-8")
    (item,) = read(objects, names=names).items
    assert item.key == "b" and item.image_id == read(objects).items[1].image_id
    for text, message in (("c", "no image 'c'"), ("", "no names of images")):
        names.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            read(objects, names=names)


@pytest.fixture
def labels():
    return block(3, 4, 13, 24, 7, np.uint16) + block(20, 0, 40, 9, 40_000, np.uint16)


@pytest.mark.parametrize(
    ("image", "label", "apart"),
    [
        ("a.png", "a_masks.png", False),
        ("a_img.png", "a_masks.png", False),
        ("a.png", "a_cp_masks.tif", False),
        ("a.png", "a.png", True),
        ("a.png", "a_labels.tif", True),
    ],
)
def test_label_images(tmp_path, labels, image, label, apart):
    folder = tmp_path / "labels"
    images = tmp_path / "images" if apart else folder
    photo(images / image)
    save(folder / label, labels)
    data = read(folder, images=images if apart else None)
    report, (record,) = write(tmp_path, data)
    assert data.classes == ("object",) and record.filename == image
    for found, number in zip(pixels_of(record), (7, 40_000)):
        np.testing.assert_array_equal(found, labels == number)
    assert report.boxes_written == 2


def test_a_label_image_of_background(tmp_path):
    photo(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "a_masks.png", block(0, 0, 0, 0))
    _, (record,) = write(tmp_path, read(tmp_path / "in"))
    assert len(record.boxes) == 0
    save(tmp_path / "in" / "a_masks.png", block(0, 0, 40, 30, 3))
    _, (record,) = write(tmp_path, read(tmp_path / "in"))
    assert pixels_of(record)[0].all() and len(record.boxes) == 1


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (block(3, 4, 9, 9, 5, size=(30, 40)), "a_masks.png has 30 x 40 pixels, its image 40 x 30"),
        (np.stack([block(3, 4, 9, 9), block(0, 0, 1, 1), block(0, 0, 1, 1)], -1), "has colours, fractions or numbers"),
        (None, "the mask cannot be read"),
    ],
)
def test_damaged_label_images_are_told(tmp_path, labels, pixels, text):
    for name in "ab":
        photo(tmp_path / "in" / f"{name}.png")
        save(tmp_path / "in" / f"{name}_masks.png", labels)
    path = tmp_path / "in" / "a_masks.png"
    path.write_bytes(b"x") if pixels is None else save(path, pixels)
    with pytest.raises(DataError, match=text):
        write(tmp_path, read(tmp_path / "in"))
    report, records = write(tmp_path, read(tmp_path / "in"), skip_bad=True)
    assert len(report.images_skipped) == len(records) == 1  # an image of unknown objects is no background


def test_pages_of_a_label_image(tmp_path, labels):
    page = Image.fromarray(labels)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(DataError, match="the mask has 2 pages"):
        read_pixels(tmp_path / "a.tif", "a.tif")


def test_cityscapes(tmp_path):
    name, root = "aachen/aachen_000000_000019", tmp_path / "cityscapes"
    photo(root / "leftImg8bit" / "val" / f"{name}_leftImg8bit.png")
    pixels = block(0, 0, 40, 30, 7, np.int32)  # road
    for value, (left, top) in {26: (0, 0), 26001: (6, 0), 24000: (12, 0), 29000: (18, 0), 8: (24, 0)}.items():
        pixels[top : top + 5, left : left + 5] = value
    save(root / "gtFine" / "val" / f"{name}_gtFine_instanceIds.png", pixels.astype(np.uint16))
    data = read(root, "val")
    assert data.classes == SCORED and len(SCORED) == 8
    report, (record,) = write(tmp_path, data)
    assert report.boxes_dropped == {"class not chosen": 1}
    assert [SCORED[one] for one in record.classes] == ["car", "person", "car"]
    assert record.crowd.tolist() == [True, False, False] and record.area.tolist() == [25, 25, 25]
    _, (record,) = write(tmp_path, read(root, "val", classes=["caravan"]))
    np.testing.assert_allclose(record.boxes, [[18, 0, 23, 5]], rtol=1e-6)
    pixels[20:, 20:] = 8002
    save(root / "gtFine" / "val" / f"{name}_gtFine_instanceIds.png", pixels.astype(np.uint16))
    with pytest.raises(DataError, match="object 8002 has class 8, which has no instances"):
        write(tmp_path, read(root, "val"))
    with pytest.raises(UsageError, match=r"no instances of 'cars'\. Did you mean 'car'"):
        read(root, "val", classes=["cars"])
    with pytest.raises(UsageError, match="test: no such folder"):
        read(root, "test")


def test_folders_that_are_none(tmp_path, objects):
    with pytest.raises(UsageError, match="no such folder of masks"):
        read(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"no label images, such as a_masks\.png beside a\.png"):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"layout is 'object'.*Did you mean 'objects'"):
        read(objects, layout="object")
    with pytest.raises(UsageError, match="classes: the layout 'objects' has no use for it"):
        read(objects, classes=["a"])
    with pytest.raises(UsageError, match="images: the layout 'objects' has no use for it"):
        read(objects, layout="objects", images=tmp_path)
    for name in ("a_masks.png", "a_cp_masks.png", "a.png"):
        photo(tmp_path / "in" / name)
    with pytest.raises(UsageError, match=r"are both of 'a'\. Keep one"):
        read(tmp_path / "in")
