"""What a TFLite file holds: one image of fixed size in, TFOD's outputs or the network's maps out.

Of a video the image is its next frame, and the state goes in and comes out with it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf.detector.clips import Held
from centernet_tf.detector.found import OWN
from centernet_tf.detector.frames import ROWS
from centernet_tf.detector.remember import Remembered
from centernet_tf.exports.answers import NAMES, REFRAMED, answers_of
from centernet_tf.exports.carried import PREFIX, PREVIOUS
from centernet_tf.exports.tfod import in_pixels, tfod_answers, without_nan
from centernet_tf.losses import whole_map
from centernet_tf.model.card import InputCard
from centernet_tf.model.network import as_argument
from centernet_tf.model.split import FEATURES
from centernet_tf.points.task import Extra
from centernet_tf.points.task_set import TaskSet


@dataclasses.dataclass(frozen=True)
class Argument:
    """One input of a file beside the image.

    Attributes:
        name: In its signature.
        shape: Of it, the batch of 1 included.
        dtype: Of its numbers.
        meaning: What it is, for people.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str

    @classmethod
    def of_extra(cls, extra: Extra) -> "Argument":
        """What a task takes of an image beside its pixels."""
        frame = "Of the input, to which the image was fitted. " if extra.fit else ""
        return cls(extra.name, (1, *extra.shape), "float32", f"{frame}{extra.meaning}.")


class PhoneGraph(keras.Model):
    """One image of fixed size in, with what its tasks take beside pixels; TFOD's outputs or the network's maps out.

    Args:
        network: From normalised images to {head: [map per stack]}.
        card: Its input, with the fixed size.
        tasks: How its maps are decoded; None to answer with the last stack's maps, without activation.
        answers: Which of TFOD's outputs it gives; all but those laid out on the image if None.

    Attributes:
        arguments: What it takes beside pixels.
    """

    def __init__(
        self, network: keras.Model, card: InputCard, tasks: TaskSet | None, answers: Sequence[str] | None = None
    ):
        super().__init__(name="phone", dtype="float32")
        self.network = network
        self.card = card
        self.tasks = tasks
        self.answers = answers
        self.places = tasks is not None and (answers is None or set(answers) > set(NAMES))
        extras = tasks.extras if self.places else ()
        self.arguments: tuple[Argument, ...] = tuple(Argument.of_extra(extra) for extra in extras)
        self.built = True

    def normalize(self, images: Any) -> Any:
        """As `preprocess.normalize` of [B, H, W, 3] RGB in 0..255, in one operator that quantises without loss."""
        order = [2, 1, 0] if self.card.order == "bgr" else [0, 1, 2]
        std = np.array(self.card.std)
        kernel = np.eye(3)[:, order] / (255 * std)
        bias = -np.array(self.card.mean) / std
        return ops.conv(images, np.float32(kernel)[None, None]) + np.float32(bias)

    def call(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Images [B, H, W, 3], and {name: [B, ...]} of `arguments`; extras for these very pixels."""
        outputs = self.network(self.normalize(images), training=False)
        if self.tasks is None:
            return {name: whole_map(maps[-1]) for name, maps in outputs.items()}
        return self.tell(self.find(outputs, given))

    def find(self, outputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The network's maps to {field: [B, K, ...]} in pixels of the input."""
        found = in_pixels(self.tasks.decode(outputs), self.tasks)
        return self.tasks.place(found, given) if self.places else found

    def tell(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What is found to the outputs."""
        size = (self.card.height, self.card.width)
        answers = without_nan(self.name_answers(found, np.array([size]), *size))
        return {name: answers[name] for name in self.answers or answers}

    def name_answers(self, found: Mapping[str, Any], sizes: Any, height: Any, width: Any) -> dict[str, Any]:
        """`tfod_answers` of those fields that are answered, in images of this one size."""
        if self.answers is None:  # Associations tell more than the tasks find.
            return tfod_answers(found, sizes, 0, self.tasks.properties)
        wanted = self.answers
        fields = {answer.field for answer in answers_of(self.tasks.finds) if answer.name in wanted}
        told = {name: value for name, value in found.items() if name in fields or name in OWN}
        reframed = (height, width) if any(name.endswith(REFRAMED) for name in wanted) else None
        return tfod_answers(told, sizes, 0, self.tasks.properties, reframed)

    def under_way(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with which a file is tried out, {name: [1, ...]} of `arguments`: those given."""
        return dict(given)

    def serve(self, images: Any, *values: Any) -> dict[str, Any]:
        """`call` with the arguments in their order, as signatures of files have them."""
        return self.call(images, {one.name: value for one, value in zip(self.arguments, values)})


class PhoneVideo(PhoneGraph):
    """As `PhoneGraph`, one frame of a video after another: the state of `detector.remember` goes in and comes out.

    Args:
        network: As there.
        card: As there.
        tasks: As there.
        remembered: What is remembered of a video.
    """

    def __init__(self, network: keras.Model, card: InputCard, tasks: TaskSet, remembered: Remembered):
        super().__init__(network, card, tasks)
        self.remembered = remembered
        last = Argument(PREVIOUS, (1, card.height, card.width, 3), "float32", "The input of the frame before.")
        self.arguments += (last,) if remembered.shows_previous else ()
        self.arguments += _carried(remembered)

    def call(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs, and the next state under the names of its arguments."""
        state = {name.removeprefix(PREFIX): value for name, value in given.items() if name.startswith(PREFIX)}
        seen = self.remembered.seen(images, state)
        shown = {"image": images, **{name: seen[name] for name in self.remembered.shows_previous}}
        inputs = {name: self.normalize(value) for name, value in shown.items()}
        size = (self.card.height, self.card.width)
        for name, wanted in self.tasks.inputs.items():
            if wanted.draw is not None:
                inputs[name] = wanted.draw(seen[ROWS], size)
        outputs = self.network(as_argument(inputs), training=False)
        found, after = self.remembered.step(self.find(outputs, given), state)
        carried = {PREFIX + name: value for name, value in after.items()}
        return {**self.tell(found), **carried, **({PREVIOUS: images} if self.remembered.shows_previous else {})}


class PhoneClips(PhoneGraph):
    """As `PhoneGraph`, one frame of a video after another, of which clips are seen: the state is `detector.clips`'.

    Args:
        parts: Of the network, see `model.split`.
        card: As there.
        tasks: As there.
        held: What is held of a video.
    """

    def __init__(self, parts: tuple[keras.Model, keras.Model], card: InputCard, tasks: TaskSet, held: Held):
        super().__init__(parts[0], card, tasks)
        self.together, self.held = parts[1], held
        self.arguments += _carried(held)

    def call(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs, of the frame that `Held.behind` says, and the next state under the names of its arguments."""
        state = {name.removeprefix(PREFIX): value for name, value in given.items() if name.startswith(PREFIX)}
        seen, after = self.held.join(self.network(self.normalize(images), training=False), state)
        maps = {**self.together(seen[FEATURES], training=False), **seen}
        outputs = {head.name: [maps[head.name]] for head in self.tasks.heads}
        found = self.find(outputs, given)
        found = {**found, "scores": self.held.told(found["scores"], state)}
        return {**self.tell(found), **{PREFIX + name: value for name, value in after.items()}}

    def under_way(self, images: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those after as many frames as are waited for, for before nothing is found."""
        for _ in range(self.held.behind):
            answers = self.call(images, given)
            given = {name: answers.get(name, value) for name, value in given.items()}
        return {name: ops.convert_to_numpy(value) for name, value in given.items()}


def _carried(remembered: Remembered | Held) -> tuple[Argument, ...]:
    """The state as arguments."""
    told = "As it came out with the frame before; 0 where a video begins."
    return tuple(Argument(PREFIX + name, shape, dtype, told) for name, (shape, dtype) in remembered.shapes().items())
