"""Keypoints on their way into the file of results: where they are, how sure each is, and what they are called."""

import json

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.media.draw import save_image
from centernet_tf.media.sources import find_sources
from centernet_tf.outputs import Outputs
from centernet_tf.predict import predict
from centernet_tf.properties.keypoints.skeleton import Skeleton

FACE = Skeleton(keypoints=("nose", "左目", "右目"), flip_pairs=((1, 2),), limbs=((0, 1), (0, 2)))
NAMED = {"keypoints": list(FACE.keypoints), "skeleton": [[1, 2], [1, 3]]}


@pytest.fixture(scope="module")
def search(spot_network, spot_card, tmp_path_factory, draw_spots):
    """Function (classes with keypoints) -> results of an image with a red and a green spot, and what was found in it.

    Spots have a nose one cell to the right of their own and eyes that a heatmap places; its peaks are red and green.
    """
    image = keras.Input((None, None, 3), name="image")
    maps = spot_network(image)
    mean = keras.layers.AveragePooling2D(4)(image)
    heatmap = np.zeros((3, 3)), np.array([-9, -6, -6])
    heatmap[0][:, 1:] = [[8, 0], [0, 8], [0, 0]]
    for name, (weights, bias) in {
        "keypoints": (np.zeros((3, 6)), [1.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        "keypoint_heatmap": heatmap,
        "keypoint_offset": (np.zeros((3, 2)), [0.5, 0.5]),
    }.items():
        layer = keras.layers.Conv2D(len(bias), 1, name=name)
        maps[name] = [layer(mean)]
        layer.set_weights([weights[None, None], np.array(bias)])
    network = keras.Model(image, maps)
    folder = tmp_path_factory.mktemp("keypoints")
    picture = draw_spots(128, 128, (34, 34, 0), (90, 90, 1))
    save_image(folder / "a.png", picture)

    def run(classes):
        card = spot_card.model_copy(update={"tasks": {"pose": {"skeleton": FACE.as_dict(), "classes": classes}}})
        detector = Detector(network, card)
        outputs = Outputs(folder, folder / "detections.json", draw=False)
        predict(detector, find_sources([folder / "a.png"]), outputs)
        return json.loads(outputs.json_file.read_text(encoding="utf-8")), detector(picture, outputs.threshold)

    return run


def test_keypoints_come_with_their_scores_and_names(search):
    results, found = search(None)
    assert results["categories"] == [{"id": 1, "name": "red", **NAMED}, {"id": 2, "name": "green", **NAMED}]
    (image,) = results["images"]
    assert {row["category"] for row in image["detections"]} == {"red", "green"}
    for row, points, scores in zip(image["detections"], found.fields["keypoints"], found.fields["keypoint_scores"]):
        assert row["keypoint_scores"] == pytest.approx(scores, abs=1e-4)
        assert row["keypoint_scores"] == [round(score, 4) for score in row["keypoint_scores"]]
        np.testing.assert_allclose(np.reshape(row["keypoints"], (3, 3)), np.insert(points, 2, 1, axis=1), atol=1e-4)
    surest = {row["category"]: row["keypoint_scores"] for row in reversed(image["detections"])}
    # Each kind's own eye is seen by the heatmap, the other and the nose are only told by the centre.
    assert surest["red"][1] > 0.5 > surest["red"][2] == surest["red"][0]
    assert surest["green"][2] > 0.5 > surest["green"][1] == surest["green"][0]


def test_classes_without_keypoints_have_none_in_the_file(search):
    results, _ = search(("green",))
    assert results["categories"] == [{"id": 1, "name": "red"}, {"id": 2, "name": "green", **NAMED}]
    kinds = {"keypoints", "keypoint_scores"}
    for row in results["images"][0]["detections"]:
        assert kinds & {*row} == (kinds if row["category"] == "green" else set())


def test_results_with_keypoints_are_those_of_coco_tools(search):
    from pycocotools.coco import COCO

    results, _ = search(None)
    truth = COCO()
    truth.dataset = {"images": results["images"], "categories": results["categories"], "annotations": []}
    truth.createIndex()
    rows = [row for image in results["images"] for row in image["detections"]]
    assert len(truth.loadRes(rows).anns) == len(rows) >= 2
