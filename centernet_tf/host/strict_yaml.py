"""YAML from people and from other programs: what YAML's own readers would do in silence, or for hours, is an error.

A key that stands twice, of which they keep the last; aliases that make gigabytes of a few lines; text nested without
end; numbers of thousands of digits, which Python will not print; dates that do not exist.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from centernet_tf.host.reading import decode, is_text

DEEPEST = 100  # lists and maps inside each other
MOST_COPIES = 10_000  # values that aliases may add to those that are written
LONGEST_NUMBER = 100  # characters
LONGEST_REASON = 300  # characters of an error


def parse(text: str) -> Any:
    """Reads one document of plain values.

    Args:
        text: YAML.

    Returns:
        Dicts, lists, text, numbers; None where the text is empty.

    Raises:
        yaml.YAMLError: It is no YAML, a map names a key twice, or it is larger than what people write. One short line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise yaml.YAMLError(reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} ...") from None


def parse_file(path: Path) -> Any:
    """Reads a file of one document, see `parse`.

    Raises:
        yaml.YAMLError: As `parse`, or the text is not in UTF-8.
        OSError: The file cannot be read.
    """
    try:
        text = decode(path.read_bytes())
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error
    return parse(text)


class _Loader(yaml.SafeLoader):
    """YAML whose maps name each key once, and whose size is that of its text."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0
        self._checked: set[int] = set()

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _check_copies(node)
        return node

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} lists and maps inside each other", self.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        # YAML's own constructors raise these of text that has the form of a date, a number or a truth, but is none.
        except (ValueError, OverflowError, LookupError, TypeError, AttributeError):
            kind = node.tag.rpartition(":")[2]
            self._refuse(f"{str(node.value)[:60]!r} cannot be read as {kind}; put quotes around text", node)

    def construct_scalar(self, node: Any) -> Any:
        numeric = node.tag.endswith((":int", ":float"))
        if numeric and len(node.value) > LONGEST_NUMBER:
            self._refuse(f"a number of {len(node.value)} characters; expected {LONGEST_NUMBER} at most", node)
        if isinstance(node, yaml.ScalarNode) and not is_text(node.value):
            self._refuse("text with half of a character", node)
        return super().construct_scalar(node)

    def flatten_mapping(self, node: Any) -> None:
        # Before merged keys ("<<") come in, which may well stand in the map that they are merged into.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            self._check_keys(node)
        super().flatten_mapping(node)

    def _check_keys(self, node: Any) -> None:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if key_node.tag.endswith(":merge") else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                self._refuse("a list or map stands where a key belongs", key_node)
            if key in seen:
                self._refuse(f"{str(key)[:60]!r} is given twice", node)
            seen.add(key)

    def _refuse(self, problem: str, place: Any) -> None:
        raise yaml.constructor.ConstructorError(problem=problem, problem_mark=place.start_mark)


def _check_copies(root: Any) -> None:
    """Refuses a document whose aliases stand for far more than is written, or for themselves."""
    sizes: dict[int, int] = {}
    shared = 0

    def size(node: Any) -> int:
        nonlocal shared
        known = sizes.get(id(node))
        if known is not None:
            if not known:
                raise yaml.constructor.ConstructorError(
                    problem="an alias stands inside what it names", problem_mark=node.start_mark
                )
            shared += known
            if shared > MOST_COPIES:
                raise yaml.constructor.ConstructorError(
                    problem=f"aliases that stand for more than {MOST_COPIES} values", problem_mark=node.start_mark
                )
            return known
        sizes[id(node)] = 0  # until it is known
        children = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
        sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    size(root)
