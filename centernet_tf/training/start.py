"""Starting a training from another model's weights."""

import keras

from centernet_tf.errors import UsageError
from centernet_tf.model_file import ModelCard


def start_from(network: keras.Model, source: keras.Model, card: ModelCard, where: str) -> str:
    """Copies every weight that has the same name and shape.

    Args:
        network: The new one, changed in place. What finds no counterpart keeps its start.
        source: The trained one.
        card: What the trained one is.
        where: Its file, for messages.

    Returns:
        What was copied, what is new and what was left out, for people.

    Raises:
        UsageError: Nothing fits: another backbone.
    """
    given = {weight.path: weight for weight in source.weights}
    wanted = {weight.path: weight for weight in network.weights}
    fitting = [name for name in wanted if name in given and given[name].shape == wanted[name].shape]
    if not fitting:
        raise UsageError(
            f"{where}: none of its weights fit this network; it is a {card.backbone}. Set backbone: {card.backbone}."
        )
    for name in fitting:
        wanted[name].assign(given[name])
    new = [name for name in wanted if name not in fitting]
    unused = [name for name in given if name not in fitting]
    lines = [f"{where}: {len(fitting)} of {len(wanted)} weights loaded."]
    if new:
        lines.append(f"Start from scratch: {', '.join(new)}.")
    if unused:
        lines.append(f"Left out: {', '.join(unused)}.")
    return " ".join(lines)
