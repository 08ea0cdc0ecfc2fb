"""COCO's list has the ids of the data set and what its server takes; COCO's own tools read it."""

import json

import numpy as np
import pytest

from centernet_tf.datasets.coco_names import COCO_CLASSES
from centernet_tf.errors import DataError, UsageError
from centernet_tf.formats.coco_results import CocoResults, category_ids
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks import Masks
from centernet_tf.results import Detections


@pytest.fixture
def annotations(tmp_path):
    """Function (*(file_name, id), categories) -> a COCO JSON."""

    def make(*images, categories=()):
        path = tmp_path / "truth.json"
        listed = [{"id": number, "file_name": name} for name, number in images]
        named = [{"id": number, "name": name} for name, number in categories]
        path.write_text(json.dumps({"images": listed, "categories": named}))
        return path

    return make


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("person",), [1]),
        (("toothbrush", "stop sign"), [90, 13]),
        (("person", "wolf"), [1, 2]),
        (COCO_CLASSES[-2:], [89, 90]),
    ],
)
def test_ids_of_classes(names, expected):
    assert category_ids(names) == expected


def test_ids_of_classes_in_a_json(annotations):
    rows = json.loads(annotations(categories=[("wolf", 7), ("person", 3)]).read_text())["categories"]
    assert category_ids(("person", "wolf"), rows) == [3, 7]
    with pytest.raises(UsageError, match=r"has no category 'wolv', which this model finds\. Did you mean 'wolf'\?"):
        category_ids(("wolv",), rows)


def test_the_list(write, source, tmp_path):
    shown = [(source("in/000000397133.jpg"), None), (source("COCO_val2014_000000000042.jpg"), None)]
    write(CocoResults(tmp_path / "r.json"), *shown)
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [row["image_id"] for row in rows] == [397133] * 3 + [42] * 3
    assert rows[1] == {"image_id": 397133, "category_id": 2, "bbox": [5.5, -3.0, 5.5, 6.0], "score": 0.5}


def test_no_objects(write, source, tmp_path):
    write(CocoResults(tmp_path / "r.json"))
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_ids_of_images_in_a_json(write, source, annotations, tmp_path):
    truth = annotations(("left/a.jpg", 5), ("right\\a.jpg", 6), ("b.jpg", 9))
    shown = [(source(f"in/{name}"), None) for name in ("right/a.jpg", "left/a.jpg", "else/b.jpg")]
    write(CocoResults(tmp_path / "r.json", truth), *shown)
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [row["image_id"] for row in rows[::3]] == [6, 5, 9]


@pytest.mark.parametrize(
    ("names", "listed", "said"),
    [
        (["a.jpg"], None, r"a\.jpg: its id cannot be told by its name.*--coco-ids FILE"),
        (["clip.mp4"], None, r"--coco: clip\.mp4 is a video"),
        (["l/7.jpg", "r/007.jpg"], None, r"r/007\.jpg: has the id 7, as l/7\.jpg has"),
        (["b.jpg"], [("bb.jpg", 1)], r"b\.jpg: is none of the images in .*truth\.json\. Did you mean 'bb\.jpg'"),
        (["x/a.jpg"], [("l/a.jpg", 1), ("r/a.jpg", 2)], r"a\.jpg: is none of the images"),
        (["a.jpg"], [("a.jpg", 1), ("a.jpg", 2)], r"a\.jpg: may be 2 of the images"),
    ],
)
def test_images_without_an_id(source, annotations, tmp_path, names, listed, said):
    made = CocoResults(tmp_path / "r.json", listed and annotations(*listed))
    with pytest.raises(UsageError, match=said):
        made.check([source(name) for name in names])


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (None, UsageError, "cannot be read"),
        ("{", DataError, "no JSON that can be read"),
        ("[1]", UsageError, "has no list of images"),
        ('{"images": [{"file_name": "a.jpg"}]}', DataError, "expected a whole number as id, and a file_name"),
        ('{"images": [], "categories": {}}', DataError, "categories holds"),
    ],
)
def test_files_of_ids_that_are_none(tmp_path, text, kind, said):
    if text:
        (tmp_path / "ids.json").write_text(text)
    with pytest.raises(kind, match=said):
        CocoResults(tmp_path / "r.json", tmp_path / "ids.json").check([])


def test_annotations_are_never_replaced(annotations, tmp_path):
    with pytest.raises(UsageError, match=r"truth\.json: holds no results, but perhaps annotations"):
        CocoResults(annotations()).check([])
    with pytest.raises(UsageError, match="this is a folder"):
        CocoResults(tmp_path).check([])


def test_properties_add_what_the_server_takes(write, source, tmp_path):
    """And no more; COCO's tools score both kinds, a perfect result with 1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    skeleton = Skeleton(keypoints=("nose", "tail"), flip_pairs=(), limbs=())
    properties = (Keypoints(skeleton=skeleton), Masks(side=4))
    fields = {
        "keypoints": [[[2, 3], [30, 40]]],
        "keypoint_scores": [[0.5, 0.25]],
        "masks": np.ones((1, 4, 4), np.float32),
    }
    found = Detections([[2, 3, 42, 53]], [0.5], [0], ("person",), (64, 64), fields, properties)
    path = tmp_path / "r.json"
    write(CocoResults(path), (source("12.jpg"), None), properties=properties, found=found)
    (row,) = json.loads(path.read_text())
    assert set(row) == {"image_id", "category_id", "bbox", "score", "keypoints", "segmentation"}
    truth = COCO()
    marks = {"id": 1, "iscrowd": 0, "area": 2000, "num_keypoints": 2}
    truth.dataset = {
        "images": [{"id": 12, "width": 64, "height": 64}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{**row, **marks, "keypoints": [2, 3, 2, 30, 40, 2]}],
    }
    truth.createIndex()
    for kind in ("bbox", "segm", "keypoints"):
        scored = COCOeval(truth, truth.loadRes(str(path)), kind)
        scored.params.kpt_oks_sigmas = np.full(2, 0.1)
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
        assert scored.stats[0] == pytest.approx(1), kind
