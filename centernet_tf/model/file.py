"""The model file: a .keras archive that also says what the network is, so it runs with nothing else at hand."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import pydantic

from centernet_tf import layers  # noqa: F401  Keras finds the layers by their registered names.
from centernet_tf.errors import UsageError, closest, out_of_memory
from centernet_tf.host.files import whole
from centernet_tf.model.agree import disagreement
from centernet_tf.model.archive import CARD, check_weights, open_archive
from centernet_tf.model.card import FORMAT, ModelCard
from centernet_tf.model.shipped import find
from centernet_tf.points.task import first_problem
from centernet_tf.tasks import TASKS


def save_model(path: str | Path, network: keras.Model, card: ModelCard) -> None:
    """Writes network and card as one .keras file, whole or not at all.

    Raises:
        UsageError: The name does not end in .keras.
        DataError: It cannot be written there.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UsageError(f"{path}: a model's file name ends in .keras; try {path.with_suffix('.keras')}.")
    with whole(path) as temporary:
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, card.model_dump_json(indent=2))


def read_card(path: str | Path) -> ModelCard:
    """Reads what a model file, or the shipped model of a name, says of itself, without its weights.

    Raises:
        UsageError: No such file and no such name, not a .keras archive, one that this package did not write, or one
            that a later version wrote. The message names the file and says what to do.
    """
    path = find(path)
    if path.is_dir():
        raise UsageError(
            f"{path}: no such model file, but a folder. Give a .keras file; a name of a model that comes with the "
            "package means that only where no file or folder is called so."
        )
    try:
        with open_archive(path) as archive:
            text = archive.read(CARD)
    except KeyError:
        raise UsageError(
            f"{path}: a Keras model, but not one of ours: {CARD} is not in it. Give one that `centernet train` wrote."
        ) from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # Broken text as well as broken JSON.
        raise UsageError(f"{path}: {CARD} is damaged: {error}. Copy the file again.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: {CARD} is damaged: it holds a {type(content).__name__}. Copy the file again.")
    if content.get("format") != FORMAT:
        raise UsageError(
            f"{path}: model format {content.get('format')!r}, but this version reads {FORMAT}. Upgrade centernet_tf."
        )
    _check_known(content, path)
    try:
        return ModelCard.model_validate(content)
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: {CARD} is damaged: {first_problem(error)}.") from None


def _check_known(content: dict[str, Any], path: Path) -> None:
    """Refuses a model of a task that is not in the table, which is no damage."""
    tasks = content.get("tasks")
    for name in tasks if isinstance(tasks, dict) else ():
        if name not in TASKS:
            raise UsageError(
                f"{path}: unknown task {name!r}.{closest(name, TASKS)} Known: "
                f"{', '.join(sorted(TASKS))}. Add a task of your own to centernet_tf.tasks.TASKS before you load it."
            )


def load_model(path: str | Path) -> tuple[keras.Model, ModelCard]:
    """Reads network and card of a model file, or of the shipped model of a name.

    Returns:
        Model from normalised images [B, H, W, 3] to {head: [map per stack]}, and its card.

    Raises:
        UsageError: As `read_card`, the weights cannot be read, or the network is not what the card says.
    """
    path = find(path)
    card = read_card(path)
    check_weights(path)
    try:
        network = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras and layers raise every kind for settings that are none of theirs.
        if out_of_memory(error):
            raise
        raise UsageError(f"{path}: the network in it cannot be rebuilt ({error}). Copy or train it again.") from error
    if fault := disagreement(network, card):
        raise UsageError(f"{path}: {CARD} contradicts the network: {fault}. Copy the file again.")
    return network, card
