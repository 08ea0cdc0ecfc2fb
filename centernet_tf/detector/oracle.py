"""A detector that is told the truth about some of its maps, to see which of its heads costs how much."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.data.record import Record
from centernet_tf.detector import frames
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.entries import Look
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError, closest
from centernet_tf.points.oracle import ideal_maps, terms_of
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.fields import JITTERED, ROTATED, ZOOM, Field
from centernet_tf.properties.property import Rows
from centernet_tf.results import Detections

ROWS = "rows of the ground truth"
OF_AUGMENTATION = (ROTATED, JITTERED, ZOOM)  # images are shown as they are, which the fields' fills say


def known_heads(tasks: TaskSet) -> tuple[list[str], list[str]]:
    """Heads whose ground truth can be laid out as a map, and the others."""
    known = terms_of(tasks)
    names = [head.name for head in tasks.heads]
    return [name for name in names if name in known], [name for name in names if name not in known]


class OracleDetector(Detector):
    """A detector with the ground truth in place of the maps of some heads.

    Its images are those of records, and the keys of `search` are these records.

    Args:
        detector: Without scales, tiles or soft-NMS, of single images.
        heads: Names, at least one.

    Raises:
        UsageError: A head is unknown, its ground truth is no map, or the detector sees more than single images once.
    """

    def __init__(self, detector: Detector, heads: Sequence[str]):
        self.heads = tuple(heads)
        _check(detector, self.heads)
        super().__init__(detector.network, detector.card, detector.options)

    def _build_graph(self, looks: bool = False) -> DetectorGraph:
        graph = OracleGraph(self.network, self.tasks, self.card.input, self.options, looks)
        graph.heads = self.heads
        return graph

    def pack(
        self,
        images: Sequence[np.ndarray],
        extras: Sequence[Mapping[str, np.ndarray]] = (),
        seen: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        packed = super().pack(images, extras, seen)
        return {**packed, ROWS: _pack([one[ROWS] for one in seen], self.tasks.fields, self.limit)}

    def _run(
        self,
        waiting: Sequence[tuple[Record, np.ndarray, dict[str, np.ndarray], dict[str, Any]]],
        threshold: float,
        look: Look | None,
    ) -> Iterator[tuple[Record, np.ndarray, Detections]]:
        told = [
            (record, image, extras, {**seen, ROWS: _rows(record, self.tasks.fields)})
            for record, image, extras, seen in waiting
        ]
        return super()._run(told, threshold, look)


class OracleGraph(DetectorGraph):
    """Images and the objects in them in, what the network would find if some of its heads knew these, out.

    Attributes:
        heads: Whose maps are replaced.
    """

    heads: tuple[str, ...] = ()

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What `DetectorGraph` takes, and `ROWS` {field: [B, N, ...]} in pixels of each image, to {field: [B, K]}."""
        extras = {extra.name: inputs[extra.name] for extra in self.tasks.extras}
        shown, fit = self.show(inputs)
        maps = self.answer(shown)
        grid = tuple(ops.shape(maps["heatmap"])[1:3])
        maps |= ideal_maps(self.tasks, self._fit_rows(inputs[ROWS], fit), grid, self.heads)
        return self.cut(self.find(maps, fit, extras), inputs["sizes"])


def _check(detector: Detector, heads: Sequence[str]) -> None:
    known, others = known_heads(detector.tasks)
    for name in heads:
        if name not in (*known, *others):
            raise UsageError(f"--oracle: no head {name!r}.{closest(name, known)} Known here: {', '.join(known)}.")
        if name in others:
            raise UsageError(
                f"--oracle {name}: the ground truth of this head is no map: what it should answer depends on other "
                f"heads, or is not one number a cell. Those that can be replaced: {', '.join(known)}."
            )
    if not heads:
        raise UsageError(f"--oracle: no head named. Known here: {', '.join(known)}.")
    tasks = detector.tasks
    beyond = frames.shown(tasks.inputs) or frames.are_drawn(tasks.inputs)
    if tasks.associate is not None or tasks.clip is not None or beyond:
        raise UsageError("--oracle: this model follows objects through videos; ground truth is of single images.")
    if detector.options.tile or detector.options.merges:
        raise UsageError("--oracle replaces the maps of one pass over an image. Leave tile, scales and nms out.")


def _rows(record: Record, fields: Sequence[Field]) -> dict[str, np.ndarray]:
    """What the tasks train on of a record, in pixels of its image; boxes as annotated, beyond its edge too."""
    truth = {**record.truth(), "boxes": record.full_boxes}
    made = [field for field in fields if field not in OF_AUGMENTATION]
    return {field.name: np.asarray(truth[field.name], field.dtype) for field in made}


def _pack(rows: Sequence[Rows], fields: Sequence[Field], limit: int) -> dict[str, np.ndarray]:
    """Rows of images as padded arrays [B, N, ...], N a multiple of `limit`, so that few shapes need compiling."""
    wanted = [field for field in fields if field.level != "image" and field not in OF_AUGMENTATION]
    most = max(len(one[field.name]) for one in rows for field in wanted)
    length = limit * max(1, -(-most // limit))
    packed = {"valid": np.arange(length) < np.array([len(one["boxes"]) for one in rows])[:, None]}
    for field in fields:
        shape = field.shape if field.level == "image" else (length, *field.shape)
        packed[field.name] = np.full((len(rows), *shape), field.fill, field.dtype)
        for row, one in zip(packed[field.name], rows):
            if field.level == "image":
                row[...] = one.get(field.name, row)
            else:
                row[: len(one[field.name])] = one[field.name]
    return packed
