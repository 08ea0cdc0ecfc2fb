"""Videos: the one loop over time. What is found in a frame, and the memory of those before, make the next memory."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from centernet_tf.detector import frames as beside
from centernet_tf.detector.detector import Detector, Image, Look, as_image
from centernet_tf.errors import UsageError
from centernet_tf.results import Detections


def follow(
    detector: Detector,
    frames: Iterable[Image],
    threshold: float = 0.3,
    batch_size: int = 8,
    extras: Mapping[str, Any] | None = None,
    look: Look | None = None,
) -> Iterator[Detections]:
    """Finds the objects of a video and what of them belongs together.

    Args:
        detector: Of a model with a task that associates.
        frames: Images of one video in order, all of one size; they are read as they are needed.
        threshold: As of `Detector`.
        batch_size: Frames that run at the same time. Where an input is drawn from what is remembered, each waits for
            the one before.
        extras: {name: value} of all frames beside their pixels.
        look: As of `Detector.search`; called when a frame is searched, which may be before it is yielded.

    Yields:
        What the task's association tells: detections of the frames in order, each once all that it needs is seen.

    Raises:
        UsageError: No task of the model associates.
    """
    association = detector.tasks.associate
    if association is None:
        raise UsageError(
            f"A model of {', '.join(detector.card.tasks)} does not track objects over time. Search the frames one by "
            "one, or give a model that tracks."
        )
    recall = association.recall
    seen = beside.windows(map(as_image, frames), detector.tasks.inputs)
    memory = association.start()
    while batch := list(itertools.islice(seen, batch_size if recall is None else 1)):
        known = {**(extras or {}), **({} if recall is None else {beside.ROWS: recall(memory)})}
        entries = [(image, {**known, **further}) for image, further in batch]
        for found in detector.stream(entries, threshold, batch_size, look):
            told, memory = association.step(found, memory)
            yield from told
    yield from association.finish(memory)
