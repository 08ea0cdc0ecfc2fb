import io
import sys
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.datasets.tfds import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

tfds = pytest.importorskip("tensorflow_datasets")

BOXES = np.array([[0.1, 0.2, 0.5, 0.6], [0.0, 0.5, 1.0, 1.0]], np.float32)  # ymin, xmin, ymax, xmax
PIXELS = np.array([[20, 5, 60, 25], [50, 0, 100, 50]])  # in an image of 100 x 50
COCO = {"area": [1600, 2500], "bbox": BOXES, "id": [1, 2], "is_crowd": [False, True], "label": [3, 79]}
VOC = {"bbox": BOXES, "is_difficult": [True, False], "is_truncated": [False] * 2, "label": [0, 19], "pose": [1, 2]}
KITTI = {
    "alpha": [0.0, 0.0],
    "bbox": BOXES,
    "dimensions": np.zeros((2, 3)),
    "location": np.zeros((2, 3)),
    "occluded": [0, 1],
    "rotation_y": [0.0, 0.0],
    "truncated": [0.0, 0.0],
    "type": [0, 5],
}
FACES = {
    "bbox": BOXES,
    "blur": [0, 1],
    "expression": [True, False],
    "illumination": [True, False],
    "invalid": [False, True],
    "occlusion": [0, 1],
    "pose": [True, False],
}
ROWS = {
    "coco/2017": {"image/filename": b"a.jpg", "image/id": 17, "objects": COCO},
    "voc/2007": {"image/filename": b"b.jpg", "labels": [0], "labels_no_difficult": [0], "objects": VOC},
    "kitti": {"image/file_name": b"000007.png", "objects": KITTI},
    "wider_face": {"image/filename": b"c.jpg", "faces": FACES},
}
EXPECTED = {  # number of classes, image id, filename, classes, crowd, difficult
    "coco/2017": (80, 17, "a.jpg", [3, 79], [False, True], None),
    "voc/2007": (20, 0, "b.jpg", [0, 19], None, [True, False]),
    "kitti": (8, 0, "000007.png", [0, 5], None, None),
    "wider_face": (1, 0, "c.jpg", [0, 0], None, [False, True]),
}


def encoded(kind="PNG", size=(100, 50)):
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def mocked(tmp_path):
    """Opens a data set of the library with one row in place of its own."""

    def open_mocked(name, row, **settings):
        def as_dataset(self, *args, **kwargs):
            return tf.data.Dataset.from_tensors(row)

        with tfds.testing.mock_data(as_dataset_fn=as_dataset):
            classes, items, _ = read(name, "train", data_dir=tmp_path, download=True, **settings)
            return classes, list(items)

    return open_mocked


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("image", [encoded(), np.full((50, 100, 3), 7, np.uint8)], ids=["bytes", "decoded"])
def test_reads_the_known_sets(mocked, name, image):
    classes, (item,) = mocked(name, {"image": image, **ROWS[name]})
    number, image_id, filename, labels, crowd, difficult = EXPECTED[name]
    assert (len(classes), item.image_id, item.filename) == (number, image_id, filename)
    np.testing.assert_allclose(item.boxes, PIXELS, atol=1e-4)
    assert list(item.classes) == labels
    assert (item.width, item.height) == (100, 50)
    for flags, wanted in ((item.crowd, crowd), (item.difficult, difficult)):
        assert flags is None if wanted is None else list(flags) == wanted
    assert item.source is not None and (isinstance(image, np.ndarray) or item.source == image)


def test_one_class_replaces_labels_and_its_absence(mocked):
    classes, (item,) = mocked("coco/2017", {"image": encoded(), **ROWS["coco/2017"]}, one_class="thing")
    assert classes == ("thing",)
    assert list(item.classes) == [0, 0]
    assert mocked("wider_face", {"image": encoded(), **ROWS["wider_face"]})[0] == ("face",)
    assert mocked("wider_face", {"image": encoded(), **ROWS["wider_face"]}, one_class="head")[0] == ("head",)


def test_no_objects(mocked):
    empty = {key: np.asarray(value)[:0] for key, value in VOC.items()}
    _, (item,) = mocked("voc/2007", {"image": encoded(), **ROWS["voc/2007"], "objects": empty})
    assert item.boxes.shape == (0, 4)
    assert item.num_boxes == 0


def test_boxes_in_pixels_are_refused(mocked):
    wrong = {**VOC, "bbox": BOXES * 100}
    with pytest.raises(DataError, match=r"b.jpg: boxes from 0 to 100; expected ymin, xmin, ymax, xmax from 0 to 1"):
        mocked("voc/2007", {"image": encoded(), **ROWS["voc/2007"], "objects": wrong})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("coco/2071", "cannot open data set 'coco/2071'"),
        ("wider_fase", r"cannot open data set 'wider_fase'.* Did you mean 'wider_face'\?"),
        ("mnist", "mnist has no boxes: .* It has image, label. Choose a detection set"),
        ("davis", "davis has no image among its features: metadata, video"),
        ("voc/2007", "voc/2007 is not prepared in .* Add --download"),
    ],
)
def test_errors(tmp_path, name, text):
    with pytest.raises(UsageError, match=text):
        read(name, "train", data_dir=tmp_path)


def test_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UsageError, match=r"pip install centernet_tf\[tfds\]"):
        read("coco/2017", "train")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A real data set in the library's own format, made without a network."""
    folder = tmp_path_factory.mktemp("prepared")

    class TwoDots(tfds.core.GeneratorBasedBuilder):
        """Two images, one of them empty."""

        VERSION = tfds.core.Version("1.0.0")
        url_infos: ClassVar = {}  # nothing to fetch; keeps the library from looking for checksums beside this file

        def _info(self):
            objects = {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(names=["dot", "dash"])}
            features = {"image": tfds.features.Image(), "objects": tfds.features.Sequence(objects)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(), "test": self._generate_examples()}

        def _generate_examples(self):
            box = tfds.features.BBox(*BOXES[0].tolist())
            yield 0, {"image": io.BytesIO(encoded()), "objects": [{"bbox": box, "label": "dash"}]}
            yield 1, {"image": io.BytesIO(encoded(size=(40, 40))), "objects": []}

    TwoDots(data_dir=folder).download_and_prepare()
    return folder


def test_prepared_set_keeps_the_bytes_and_goes_into_records(prepared, tmp_path):
    classes, items, _ = read("two_dots", "train", data_dir=prepared)
    assert classes == ("dot", "dash")
    assert len(items) == 2
    with_box = next(item for item in items if len(item.boxes))
    assert with_box.source == encoded()
    np.testing.assert_allclose(with_box.boxes, PIXELS[:1], atol=1e-4)
    report = write_records(items, directory=tmp_path, name="two_dots", split="train", classes=classes)
    assert (report.images_written, report.boxes_written) == (2, 1)


def test_slices_and_unknown_splits(prepared):
    assert len(read("two_dots", "train[:1]", data_dir=prepared)[1]) == 1
    assert len(read("two_dots", "train+test[:50%]", data_dir=prepared)[1]) == 3
    with pytest.raises(UsageError, match=r"has no split 'tests'. Did you mean 'test'\? Known: train, test"):
        read("two_dots", "tests", data_dir=prepared)
