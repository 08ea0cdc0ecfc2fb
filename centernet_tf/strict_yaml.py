"""YAML that people write: what stands in it twice is an error, where YAML's own readers keep the last in silence."""

from typing import Any

import yaml


def parse(text: str) -> Any:
    """Reads one document of plain values.

    Args:
        text: YAML.

    Returns:
        Dicts, lists, text, numbers; None where the text is empty.

    Raises:
        yaml.YAMLError: It is no YAML, or a map names a key twice.
    """
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    """YAML whose maps name each key once; of two sections with one name the first would be lost in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(problem=f"{key!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)
