"""What measures a property on images, and what it says of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.properties.fields import Rows


@dataclasses.dataclass(frozen=True)
class ImageKey:
    """Which image a metric is told of.

    Attributes:
        image_id: Number in its data set.
        video: Name of its video; "" for a single image.
        frame: Number in the video.
    """

    image_id: int
    video: str = ""
    frame: int = 0


SINGLE = ImageKey(0)


class Score:
    """What a metric says.

    Attributes:
        main: The one number of each thing measured, 0 to 1, NaN without ground truth; the best model of a training has
            the highest mean of all.
    """

    main: Mapping[str, float] = {}

    @property
    def shown(self) -> Sequence[int]:
        """Numbers of the images that `pictures` needs."""
        return ()

    def pictures(self, images: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
        """{end of a file's name: picture [H, W, 3] uint8 RGB} to look at, of the `shown` images, of the same kind."""
        del images
        return {}

    def tables(self) -> list[Table]:
        """Tables for people."""
        return []

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; keys must not be those of another score."""
        return {}


class Metric:
    """Measures what was found against what is annotated, an image at a time."""

    def alone(self, image: ImageKey, found: Rows) -> None:
        """Takes in all that was found in an image by itself, before `update` brings what was told of it.

        The two differ in a video that was followed; most metrics measure the latter alone.
        """

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Which one; each comes once.
            found: "boxes" [K, 4], "scores" [K], "classes" [K] and the fields that the model finds.
            truth: "boxes" [N, 4], "classes" [N], "crowd" [N], "difficult" [N], "ignored" [N], "area" [N], "names" [N]
                and the rows of the records' properties.
        """
        raise TypeError(f"{type(self).__name__} does not implement update(image, found, truth).")

    def result(self) -> Score | None:
        """Scores all images so far; None where nothing was found or annotated that it measures."""
        return None
