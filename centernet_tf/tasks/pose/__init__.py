"""Joints: where each lies from the centre, and heatmaps that place it exactly (Objects as Points, section 4.2)."""

from collections.abc import Mapping
from typing import Any

from centernet_tf import losses
from centernet_tf.centers import HEATMAP_BIAS, Centers
from centernet_tf.errors import UsageError
from centernet_tf.schema import ROTATED, SHARED, Field
from centernet_tf.task import Head, Task, Term
from centernet_tf.tasks.pose import decode, targets
from centernet_tf.tasks.pose.mirror import MirrorOffsets, MirrorScores


def pose(centers: Centers) -> Task:
    """Objects as a box and the joints of a skeleton, each with a score.

    Raises:
        UsageError: No skeleton is known.
    """
    if centers.skeleton is None:
        raise UsageError(
            "Task 'pose' needs a skeleton: records of objects with joints have one in their dataset.yaml; for others, "
            "name a file of joint names with the setting 'skeleton'."
        )
    count, order = len(centers.skeleton.joints), centers.skeleton.flip_order

    def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
        return {**centers.encode(rows, located), **targets.encode(rows, located)}

    def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
        found = centers.decode(outputs, peaks)
        return {**found, **decode.decode(outputs, peaks, found["boxes"], centers.joint_classes, centers.joint_peaks)}

    return Task(
        name="pose",
        heads=(
            *centers.heads(),
            Head("joints", 2 * count, mirror=MirrorOffsets(order)),
            Head("joint_heatmap", count, bias=HEATMAP_BIAS, heatmap=True, mirror=MirrorScores(order)),
            Head("joint_offset", 2),
        ),
        terms=(
            *centers.terms(),
            Term("joints", ("joints",), losses.masked_l1),
            Term("joint_heatmap", ("joint_heatmap",), losses.focal),
            Term("joint_offset", ("joint_offset",), losses.masked_l1),
        ),
        encode=encode,
        decode=find,
        fields=(
            *SHARED,
            Field("joints", "float32", (count, 2), "points", 0.0, "x, y in pixels", order, labels="joint_labels"),
            Field("joint_labels", "int32", (count,), "fixed", 0, "0 unlabelled, 1 hidden, 2 visible", order),
            ROTATED,
        ),
        finds=("joints", "joint_scores"),
        boxed=targets.labelled,
    )
