"""Maps to tubelets: an action's centre at the key frame, its way through the frames, and its size in each.

Actions as Moving Points (Li et al., 2020), section 3, and the official code's `moc_decode`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from keras import ops

from centernet_tf.losses import gather_cells

# Where a size is read whose centre lies beyond the map. "apart": at the nearest cell, x and y each by itself.
# "together": the number of the cell is clamped, so that what leaves on the right or left comes in again a row below or
# above, as in the original.
Clamp = Literal["apart", "together"]


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any], clamp: Clamp = "apart") -> dict[str, Any]:
    """Peaks to tubelets.

    Args:
        outputs: "movement" [B, h, w, 2 K], x and y of each frame in turn, from the cell of the key frame; "size"
            [B, h, w, 2 K], width and height in each frame, read where the centre is then; cells.
        peaks: What `Centers.peaks` returned, of R peaks.
        clamp: How a place beyond the map is brought back.

    Returns:
        "tubelets" [B, R, K, 4] left, top, right, bottom in every frame, unclipped; "boxes" [B, R, 4] those of the key
        frame, K // 2; both in cells. "scores" [B, R]; "classes" [B, R] int32.
    """
    movement = ops.cast(gather_cells(outputs["movement"], peaks["index"]), "float32")
    batch, count, channels = ops.shape(movement)
    frames = channels // 2
    centers = peaks["cell"][:, :, None] + ops.reshape(movement, (batch, count, frames, 2))
    place = places(centers, peaks["cell"], grid_of(outputs["size"]), clamp)
    half = sizes_at(outputs["size"], place) / 2
    tubelets = ops.concatenate([centers - half, centers + half], axis=-1)
    return {
        "tubelets": tubelets,
        "boxes": tubelets[:, :, frames // 2],
        "scores": peaks["scores"],
        "classes": peaks["classes"],
    }


def places(centers: Any, cell: Any, grid: tuple[Any, Any], clamp: Clamp) -> Any:
    """Cells that the sizes of tubelets are read at.

    Coordinates are truncated towards zero, so a centre up to a cell to the left of the map reads its first column. At
    the key frame it is the peak's own cell, wherever its movement leads.

    Args:
        centers: [B, R, K, 2] x, y in cells.
        cell: [B, R, 2] of the peaks.
        grid: Height and width of the map.
        clamp: See `decode`.

    Returns:
        [B, R, K] int32, y * w + x.
    """
    height, width = grid
    frames = centers.shape[2]
    own = ops.arange(frames) == frames // 2
    # Far beyond any map, and as whole numbers still exact.
    whole = ops.cast(ops.clip(ops.trunc(centers), -1e4, 1e4), "int32")
    whole = ops.where(own[:, None], ops.cast(cell, "int32")[:, :, None], whole)
    x, y = whole[..., 0], whole[..., 1]
    if clamp == "together":
        return ops.clip(y * width + x, 0, height * width - 1)
    return ops.clip(y, 0, height - 1) * width + ops.clip(x, 0, width - 1)


def grid_of(sizes: Any) -> tuple[Any, Any]:
    """Height and width of the maps that `sizes_at` takes."""
    if not isinstance(sizes, Mapping):
        return tuple(ops.shape(sizes)[1:3])
    return grid_of(sizes["maps"][0]) if "maps" in sizes else tuple(ops.shape(_of_frames(sizes)[0])[1:3])


def frames_of(sizes: Any, depth: int) -> int:
    """How many frames the maps that `sizes_at` takes are of, each of so many channels."""
    return len(_of_frames(sizes)) if isinstance(sizes, Mapping) else sizes.shape[-1] // depth


def _of_frames(sizes: Mapping[str, Any]) -> Sequence[Any]:
    """Features of each frame; those of a clip of one frame come alone."""
    features = sizes["features"]
    return features if isinstance(features, (list, tuple)) else [features]


def sizes_at(sizes: Any, place: Any) -> Any:
    """Reads the map of each frame at a cell of its own.

    Args:
        sizes: [B, h, w, D K], D channels of each frame in turn; or, of maps that are never made, what
            `losses.gather_cells` takes, whose features are a list of the frames' [B, h, w, F].
        place: [B, R, K] int32 cells.

    Returns:
        [B, R, K, D] float32.
    """
    if isinstance(sizes, Mapping) and "maps" in sizes:
        return sum(weight * sizes_at(one, place) for weight, one in zip(sizes["weights"], sizes["maps"]))
    if isinstance(sizes, Mapping):
        parts = [{**sizes, "features": features} for features in _of_frames(sizes)]
        read = [gather_cells(one, place[:, :, frame]) for frame, one in enumerate(parts)]
        return ops.cast(ops.stack(read, axis=2), "float32")
    batch, count, frames = ops.shape(place)
    found = gather_cells(frame_by_frame(sizes, frames), listed(place))
    return ops.reshape(ops.cast(found, "float32"), (batch, count, frames, -1))


def frame_by_frame(maps: Any, frames: int) -> Any:
    """[B, h, w, D K] as a map [B, h, w K, D] whose cells are those of each frame in turn; nothing is moved."""
    batch, height, width, channels = ops.shape(maps)
    return ops.reshape(maps, (batch, height, width * frames, channels // frames))


def listed(place: Any) -> Any:
    """Cells [B, R, K] of each frame as those [B, R K] of `frame_by_frame`."""
    batch, count, frames = ops.shape(place)
    return ops.reshape(place * frames + ops.arange(frames, dtype="int32"), (batch, count * frames))
