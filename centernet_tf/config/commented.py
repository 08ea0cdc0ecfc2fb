"""All settings that a file leaves out, as comments to put behind it: what each does, its default, its choices."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from centernet_tf.config.describe import Described, Setting, sections

WIDTH = 120
HEAD = """
# Everything else, with its default. To change a setting, remove the "# " before it here, or give --set NAME=VALUE.
# Lines that begin with ## say what the setting below them does, or one that is set above.
"""


def commented(given: Mapping[str, Any], tasks: Iterable[str]) -> str:
    """The settings that are not given, each by its whole name, so that a line is valid without the "# " before it.

    Args:
        given: What the file sets, as YAML reads it. This is explained, too.
        tasks: What it trains.
    """
    return HEAD + "".join(f"\n{line}" if line else "\n" for line in _lines(given, tasks)) + "\n"


def _lines(given: Mapping[str, Any], tasks: Iterable[str]) -> Iterator[str]:
    for section in sections(tasks):
        if section.settings:
            yield from _heading(section)
            inner = given.get(section.name) or {} if section.name else given
            for setting in section.settings:
                yield from _of(setting, setting.name in given or setting.name.rpartition(".")[2] in inner)


def _heading(section: Described) -> Iterator[str]:
    yield from (f"## {section.name or 'the run'} ".ljust(WIDTH, "-"), f"## {section.told}", "")


def _of(setting: Setting, above: bool) -> Iterator[str]:
    if above:
        yield from _explained(f"{setting.name}, above: {setting.told} ({setting.choices})")
    else:
        yield from _explained(setting.told)
        yield f"# {setting.name}: {setting.default}  # {setting.choices}"
    yield ""


def _explained(text: str) -> Iterator[str]:
    return (f"## {line}" for line in textwrap.wrap(text, WIDTH - 3, break_long_words=False, break_on_hyphens=False))
