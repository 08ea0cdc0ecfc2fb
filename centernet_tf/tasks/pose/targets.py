"""Objects with keypoints as targets (official code, `datasets/sample/multi_pose.py`), in cells of the output grid."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.geometry import gaussian
from centernet_tf.points.centers import STRIDE


def labelled(rows: Mapping[str, Any]) -> Any:
    """[B, N] bool: objects with a keypoint that somebody marked, wherever in or outside the image it lies now.

    The original trains the boxes of these alone; other objects are centres, and no more.
    """
    return ops.any(rows["keypoint_labels"] > 0, axis=-1)


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
    """Targets of the three heads of keypoints.

    A keypoint counts where it is labelled and lies inside the grid. In rotated images its place on the heatmap is
    trained, but not its way from the centre, for the box did not rotate.

    Args:
        rows: "keypoints" [B, N, J, 2] (x, y) in pixels of the network's input; "keypoint_labels" [B, N, J], above 0
            where one is marked.
        centers: What `Centers.locate` returned.

    Returns:
        "keypoints" {"index" [B, N], "mask" and "value" [B, N, 2 J]}, from its cell; "keypoint_heatmap" {"heatmap"
        [B, h, w, J]}; "keypoint_offset" {"index" [B, N J], "mask" [B, N J, 1], "value" [B, N J, 2]}, from the
        keypoint's cell.
    """
    height, width = centers["grid"]
    points = ops.cast(rows["keypoints"], "float32") / STRIDE
    batch, objects, keypoints, _ = ops.shape(points)
    x, y = points[..., 0], points[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    used = inside & (rows["keypoint_labels"] > 0) & centers["present"][..., None]  # [B, N, J]
    points = ops.where(used[..., None], points, 0.0)
    cells = ops.floor(points)

    trained = ops.cast(used & centers["keep"][..., None], "float32")
    shape = (batch, objects, 2 * keypoints)
    away = ops.reshape(points - centers["cell"][:, :, None], shape)
    mask = ops.reshape(ops.stack([trained, trained], axis=-1), shape)
    index = ops.cast(cells[..., 1] * width + cells[..., 0], "int32")
    radius = ops.where(used, centers["radius"][..., None], -1.0)
    return {
        "keypoints": {"index": centers["index"], "mask": mask, "value": away * mask},
        "keypoint_heatmap": {"heatmap": render(cells, radius, (height, width))},
        "keypoint_offset": {
            "index": ops.reshape(index, (batch, objects * keypoints)),
            "mask": ops.reshape(ops.cast(used, "float32"), (batch, objects * keypoints, 1)),
            "value": ops.reshape(points - cells, (batch, objects * keypoints, 2)),
        },
    }


def render(cells: Any, radius: Any, grid: tuple[int, int]) -> Any:
    """Draws one heatmap for each keypoint, the largest value where Gaussians meet.

    Keypoint after keypoint, so that no more than the Gaussians of one keypoint ever exist: B x N x h x w numbers.

    Args:
        cells: [B, N, J, 2] whole (x, y).
        radius: [B, N, J] whole cells; negative draws nothing.
        grid: Height and width in cells.

    Returns:
        [B, h, w, J] float32, exactly 1 at the cells and 0 where no keypoint reaches.
    """
    cells, radius = ops.transpose(cells, (2, 0, 1, 3)), ops.transpose(radius, (2, 0, 1))
    rows = gaussian.profile(cells[..., 1], radius, grid[0])  # [J, B, N, h]
    columns = gaussian.profile(cells[..., 0], radius, grid[1])

    def draw(profiles: tuple[Any, Any]) -> Any:
        row, column = profiles
        return ops.max(row[..., None] * column[..., None, :], axis=1, initial=0.0)

    return ops.transpose(ops.map(draw, (rows, columns)), (1, 2, 3, 0))
