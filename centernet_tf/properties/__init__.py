"""The table of properties: what an object can have besides its box and its class."""

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from centernet_tf.errors import DataError, closest
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.property import Property
from centernet_tf.properties.tracks import Tracks

PROPERTIES: dict[str, type[Property]] = {
    "keypoints": Keypoints,
    "boxes3d": Boxes3d,
    "tracks": Tracks,
    "masks": Masks,
    "interactions": Interactions,
}


def as_plain(properties: Iterable[Property]) -> dict[str, dict[str, Any]]:
    """Properties as YAML and JSON hold them: {name: what is said of it}."""
    return {one.name: one.model_dump(mode="json", exclude_none=True) for one in properties}


def read_properties(content: Any, where: str) -> tuple[Property, ...]:
    """Reads what `as_plain` wrote.

    Raises:
        DataError: It is no such table, or a property is unknown or says something impossible. `where` stands in front.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{where}: properties are {content!r:.60}; expected {{name: settings}}.")
    found = []
    for name, values in content.items():
        if name not in PROPERTIES:
            raise DataError(
                f"{where}: unknown property {name!r}.{closest(str(name), PROPERTIES)} Known: {', '.join(PROPERTIES)}."
            )
        try:
            found.append(PROPERTIES[name].model_validate(values or {}))
        except (pydantic.ValidationError, ValueError) as error:
            problem = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else error
            raise DataError(f"{where}: property {name!r}: {problem}.") from None
    return tuple(found)
