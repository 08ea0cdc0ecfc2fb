"""Ground truth in place of heads: what each is worth, and that all together find everything but shared cells."""

import numpy as np
import pytest

from centernet_tf.data.dataset import open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import Detector, load
from centernet_tf.detector.oracle import OracleDetector, known_heads
from centernet_tf.errors import UsageError
from centernet_tf.evaluation import evaluate
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.usefixtures("eagerly")
# Spots where the detector finds them, but of other sizes than the 8 x 6 cells that it tells of each.
SPOTS = [(20, 20, 0), (44, 40, 1)], [(30, 30, 1)], []
HEADS = ("heatmap", "offset", "size")


def write(folder, draw_spots, *beside):
    """Records of three images; `beside` are further (boxes, class) of the first."""
    items = []
    for number, spots in enumerate(SPOTS):
        boxes = [(x - 9, y - 14, x + 9, y + 12) for x, y, _ in spots]
        classes = ["red" if kind == 0 else "green" for _, _, kind in spots]
        for box, name in beside if number == 0 else ():
            boxes, classes = [*boxes, box], [*classes, name]
        image, name = draw_spots(64, 64, *spots), f"{number}.png"
        boxes = np.array(boxes, float).reshape(-1, 4)
        items.append(Item(key=name, image_id=number, source=image, filename=name, boxes=boxes, classes=classes))
    write_records(items, directory=folder, name="spots", split="val", classes=("red", "green"))
    return open_dataset(folder)


def ap(detector, dataset, *heads):
    return evaluate(OracleDetector(detector, heads) if heads else detector, dataset).main["AP"]


def test_each_head_is_worth_what_its_errors_cost(spot_model, draw_spots, tmp_path):
    detector, dataset = load(spot_model), write(tmp_path, draw_spots, ((2, 40, 16, 60), "green"))
    assert ap(detector, dataset) < 0.2
    assert ap(detector, dataset, "size") > ap(detector, dataset, "offset")
    assert ap(detector, dataset, "size", "offset") < 0.9  # one object is not seen
    assert ap(detector, dataset, *HEADS) == pytest.approx(1.0)


def test_of_two_objects_in_a_cell_one_is_lost(spot_model, draw_spots, tmp_path):
    detector, dataset = load(spot_model), write(tmp_path, draw_spots, ((10, 4, 31, 35), "red"))
    scores = evaluate(OracleDetector(detector, HEADS), dataset).coco
    assert scores.ap50[0] == pytest.approx(0.5, abs=0.02) and scores.ap50[1] == pytest.approx(1.0)


@pytest.mark.parametrize("change", [{"flip": True}, {"keep": True}])
def test_other_ways_to_the_network_make_no_difference(change, spot_model, draw_spots, tmp_path):
    detector, dataset = load(spot_model), write(tmp_path, draw_spots)
    changed = detector.with_input(None) if "keep" in change else detector.with_options(**change)
    assert ap(changed, dataset, *HEADS) == pytest.approx(1.0)


def test_what_cannot_be_is_told(spot_model, spot_card):
    detector = load(spot_model)
    with pytest.raises(UsageError, match=r"no head 'sizes'\. Did you mean 'size'"):
        OracleDetector(detector, ["sizes"])
    with pytest.raises(UsageError, match="no head named"):
        OracleDetector(detector, [])
    with pytest.raises(UsageError, match="Leave tile, scales and nms out"):
        OracleDetector(detector.with_options(nms=True), ["size"])


def detector_of(card, tasks):
    card = card.model_copy(update={"tasks": {name: {} for name in tasks}, "backbone": "tiny"})
    card = type(card).model_validate(card.model_dump())
    tasks = card.task_set()
    return Detector(build_network("tiny", tasks.heads, tasks.inputs), card)


def test_heads_whose_truth_is_no_map_are_named(spot_card):
    detector = detector_of(spot_card, ["mask"])
    known, others = known_heads(detector.tasks)
    assert known == list(HEADS) and others
    with pytest.raises(UsageError, match=f"--oracle {others[0]}: the ground truth of this head is no map"):
        OracleDetector(detector, others[:1])


def test_videos_are_refused(spot_card):
    with pytest.raises(UsageError, match="follows objects through videos"):
        OracleDetector(detector_of(spot_card, ["track"]), ["heatmap"])
