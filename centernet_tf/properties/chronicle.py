"""What only the frames of a video together tell: gathered as they come, and told once it is over."""

from typing import Any, ClassVar

from centernet_tf.properties.fields import Rows


class Chronicle:
    """Of one video. What is held must not grow with the video but for what is going on in it.

    Attributes:
        key: Of the video's line of JSON, under which all that is told stands in a list.
    """

    key: ClassVar[str]

    def add(self, frame: int, rows: Rows) -> list[dict[str, Any]]:
        """Takes in the objects of a frame; frames come in order.

        Args:
            frame: Its number in the video.
            rows: As `Detections.rows`.

        Returns:
            What is over with it, ready for JSON.
        """
        raise NotImplementedError

    def finish(self) -> list[dict[str, Any]]:
        """What goes on until the end."""
        raise NotImplementedError
