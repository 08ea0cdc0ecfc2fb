"""Interactions: heatmaps of verbs halfway between two objects; pairs are rows that name rows of the objects."""

import numpy as np
import pytest
from keras import ops

from centernet_tf import losses
from centernet_tf.errors import UsageError
from centernet_tf.points import peaks as maxima
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field

VERBS, PAIRS = 2, 4
GRID = (16, 24)


class Act(TaskSettings):
    def build(self, centers):
        def encode(rows, located):
            known = rows["pairs"][..., 0] >= 0  # [B, P]
            both = ops.maximum(ops.cast(rows["pairs"], "int32"), 0)
            members = [
                ops.take_along_axis(located["center"], ops.repeat(both[..., part, None], 2, axis=-1), axis=1)
                for part in (0, 1)
            ]
            cell = ops.floor((members[0] + members[1]) / 2)
            index = ops.cast(cell[..., 1] * GRID[1] + cell[..., 0], "int32")
            drawn = ops.one_hot(index, GRID[0] * GRID[1])[..., None] * ops.one_hot(rows["verbs"], VERBS)[:, :, None]
            drawn = ops.max(drawn * ops.cast(known, "float32")[..., None, None], axis=1)
            mask = ops.cast(known, "float32")[..., None]
            return {
                **centers.encode(rows, located),
                "verb": {"heatmap": ops.reshape(drawn, (-1, *GRID, VERBS))},
                **{
                    name: {"index": index, "mask": mask, "value": member - cell}
                    for name, member in zip(("subject", "object"), members)
                },
            }

        def decode(outputs, peaks):
            found = centers.decode(outputs, peaks)
            scores = maxima.local_maxima(ops.sigmoid(outputs["verb"]))
            best, verbs, index = maxima.best_of_all(scores, PAIRS)
            cell = maxima.cells_of(index, ops.shape(scores)[2])
            rows = []
            for name in ("subject", "object"):
                place = cell + losses.gather_cells(outputs[name], index)  # [B, P, 2]
                away = ops.sum(ops.square(place[:, :, None] - peaks["center"][:, None]), axis=-1)
                # What is no object is no member either.
                rows.append(ops.argmin(away + 1e6 * ops.cast(peaks["scores"] < 0.3, "float32")[:, None], axis=-1))
            return {**found, "pairs": ops.stack(rows, axis=-1), "verbs": verbs, "pair_scores": best}

        return Task(
            name="toy",
            heads=(
                *centers.heads(),
                Head("verb", VERBS, bias=-2.19, heatmap=True),
                Head("subject", 2),
                Head("object", 2),
            ),
            terms=(
                *centers.terms(),
                Term("verb", ("verb",), losses.focal),
                Term("subject", ("subject",), losses.masked_l1),
                Term("object", ("object",), losses.masked_l1),
            ),
            encode=encode,
            decode=decode,
            fields=(
                *SHARED,
                Field("pairs", "int32", (2,), "fixed", -1, "rows of subject and object", level="pair"),
                Field("verbs", "int32", (), "fixed", 0, "what one does to the other", level="pair"),
            ),
            finds=(Find("pairs", level="pair"), Find("verbs", level="pair"), Find("pair_scores", level="pair")),
        )


@pytest.fixture
def truth(rows):
    """Three objects in each of two images: two pairs in the first, one in the second."""
    made = rows(SHARED, (64, 96), num_classes=2)
    pairs = np.int32([[[0, 1], [2, 0], [-1, -1]], [[1, 2], [-1, -1], [-1, -1]]])
    return {**made, "pairs": pairs, "verbs": np.int32([[1, 0, 0], [0, 0, 0]])}


def perfect_maps(tasks, truth):
    targets = tasks.encode(truth, GRID)
    maps = {}
    for name in ("heatmap", "verb"):
        maps[name] = 20 * ops.convert_to_numpy(targets[name]["heatmap"]) - 10
    for name in ("offset", "size", "subject", "object"):
        index, mask, value = (ops.convert_to_numpy(targets[name][key]) for key in ("index", "mask", "value"))
        filled = np.zeros((2, GRID[0] * GRID[1], 2), np.float32)
        for image, row in np.argwhere(mask[..., 0]):
            filled[image, index[image, row]] = value[image, row]
        maps[name] = filled.reshape(2, *GRID, 2)
    return {name: ops.convert_to_tensor(value, "float32") for name, value in maps.items()}


@pytest.mark.slow
@pytest.mark.long
def test_trains_on_pairs(make_card, make_network, make_inputs, fit, truth):
    card = make_card(Act)
    tasks, network = card.task_set(), make_network(card)
    fit(network, tasks, make_inputs(tasks), truth, card, steps=20)


def test_perfect_maps_give_the_pairs_back_through_the_detector(make_card, detect, truth, monkeypatch):
    card = make_card(Act)
    detector = detect(card)
    maps = perfect_maps(detector.tasks, truth)
    monkeypatch.setattr(detector.graph, "answer", lambda shown: maps)
    for image, found in enumerate(detector(list(np.zeros((2, 64, 96, 3), np.uint8)), threshold=0.5)):
        assert len(found) == 3
        centers = (truth["boxes"][image, :3, :2] + truth["boxes"][image, :3, 2:]) / 2
        near = np.linalg.norm((found.boxes[:, None, :2] + found.boxes[:, None, 2:]) / 2 - centers, axis=-1)
        assert near.min(axis=1).max() < STRIDE
        rows = near.argmin(axis=1)[found.pairs.rows]  # as they are numbered in the truth
        told = sorted(zip(found.pairs.verbs.tolist(), rows.tolist()))
        assert told == [[(0, [2, 0]), (1, [0, 1])], [(0, [1, 2])]][image]
        assert found.pairs.scores.min() > 0.9
        subject = int(found.pairs.rows[0, 0])
        alone = found[[subject]]
        assert len(alone) == 1 and len(alone.pairs) == 0, "a pair without its other member is none"
        turned = found[::-1]
        np.testing.assert_array_equal(turned.boxes[turned.pairs.rows], found.boxes[found.pairs.rows])


def test_pairs_refuse_what_would_take_them_apart(make_card, detect):
    detector = detect(make_card(Act))
    for options in ({"nms": True}, {"scales": (0.5, 1.0)}, {"tile": (64, 64), "halo": 16}):
        with pytest.raises(UsageError, match="pairs of objects"):
            detector.with_options(**options)
