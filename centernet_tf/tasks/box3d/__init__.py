"""Boxes in space from one camera: depth, size and direction of each object (Objects as Points, section 4.1)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.centers import Centers
from centernet_tf.losses import masked_l1
from centernet_tf.schema import JITTERED, SHARED, Field
from centernet_tf.task import Head, Task, Term
from centernet_tf.tasks.box3d import decode, losses, targets

FIELDS = (
    Field("depths", "float32", (), "fixed", 0.0, "z in the camera's frame in metres"),
    Field("dimensions", "float32", (3,), "fixed", 0.0, "height, width, length in metres"),
    Field("alphas", "float32", (), "angles", 0.0, "direction as the image shows it, -pi to pi"),
    Field("solid", "bool", (), "fixed", False, "depth, dimensions and alpha are known"),
)
MIDDLES = Field("middles", "float32", (2,), "points", 0.0, "x, y of the middle in space in pixels of the image")


def negated_x(values: Any) -> Any:
    """[B, h, w, 2] (x, y) of a mirror image as of the image."""
    return values * ops.cast(np.float32([-1, 1]), values.dtype)


def box3d(centers: Centers) -> Task:
    """Objects as boxes in the camera's frame, and in the image.

    Without `Centers.box3d_size` no size in the image is learnt; the box in the image is then that around the corners
    in space, unless another task has one.

    The original takes the middle of the box in the image for that of the object, which it is not where an object is
    near or cut off by the image's edge. With `Centers.box3d_amodal_offset` the way from one to the other is learnt
    (CenterTrack's head `amodel_offset`), so that objects get their place right.
    """
    unused = () if centers.box3d_size else ("size",)
    amodal = centers.box3d_amodal_offset

    def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
        made = {**centers.encode(rows, located), **targets.encode(rows, located, centers.max_objects)}
        if amodal:
            made["amodal_offset"] = targets.amodal_offset(rows, located)
        return {name: target for name, target in made.items() if name not in unused}

    def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
        if centers.box3d_size:
            found = centers.decode(outputs, peaks)
        else:
            found = {"scores": peaks["scores"], "classes": peaks["classes"]}
        return {**found, **decode.decode(outputs, peaks)}

    return Task(
        name="box3d",
        heads=(
            *(head for head in centers.heads() if head.name not in unused),
            Head("depth", 1),
            Head("rotation", 8),
            Head("dimensions", 3),
            *([Head("amodal_offset", 2, mirror=negated_x)] if amodal else []),
        ),
        terms=(
            *(term for term in centers.terms() if term.name not in unused),
            Term("depth", ("depth",), losses.depth),
            Term("rotation", ("rotation",), losses.rotation),
            Term("dimensions", ("dimensions",), losses.padded_l1),
            *([Term("amodal_offset", ("amodal_offset",), masked_l1)] if amodal else []),
        ),
        encode=encode,
        decode=find,
        fields=(*SHARED, *FIELDS, *([MIDDLES] if amodal else []), JITTERED),
        finds=("depths", "dimensions", "alphas", "middles"),
        points=() if amodal else ("middles",),
        place=decode.place,
        places=("locations", "rotations"),
        whole_sides=False,
    )
