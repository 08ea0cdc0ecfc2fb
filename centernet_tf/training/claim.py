"""The folder of a run: one program's at a time, one run's with one set of settings, but for how long it is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from centernet_tf.config import Settings, read_settings, write_settings
from centernet_tf.errors import UsageError
from centernet_tf.host.files import clear_left_behind
from centernet_tf.host.lock import locked
from centernet_tf.host.reading import address_in

SETTINGS_FILE = "settings.yaml"


@contextlib.contextmanager
def claimed(out: Path, settings: Settings, first: bool = True) -> Iterator[Settings | None]:
    """Holds the folder of a run, and writes the settings into it.

    Args:
        out: Folder; made where it is missing.
        settings: Of the run. One that was begun there must have the same, or more epochs; devices may be others.
        first: Whether this process is the first of those of the run, which holds the folder for all of them; others
            look only.

    Yields:
        The settings that the run had until now, where it has more epochs now; else None.

    Raises:
        UsageError: The folder cannot be made, a program is at work in it, or it holds a run with other settings.
        DataError: The settings cannot be written.
    """
    if not first:
        yield _check(out, settings)[0]
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot create this folder ({error.strerror}).") from None
    with locked(out):
        clear_left_behind(out)
        before, changed = _check(out, settings)
        if changed:
            write_settings(settings, out / SETTINGS_FILE)
        yield before


def check_place(out: Path) -> None:
    """Raises UsageError where a run would be written to a bucket."""
    if address := address_in(out):
        raise UsageError(f"{address} is in a bucket; runs are written to a folder of this machine. Copy it in the end.")


def _check(out: Path, settings: Settings) -> tuple[Settings | None, bool]:
    """The settings of before where there are more epochs now, and whether any have changed."""
    path = out / SETTINGS_FILE
    before = read_settings(path) if path.exists() else None
    if before == settings:
        return None, False
    longer = before is not None and settings.train.epochs > before.train.epochs
    if before is not None:
        same = {"train.devices", *(["train.epochs"] if longer else [])}
        found = {name: text for name, text in _differences(_plain(before), _plain(settings)) if name not in same}
        if found:
            raise UsageError(
                f"{out} holds a run with other settings ({'; '.join(found.values())}). Choose another --out, or remove "
                "it. Only train.epochs may grow, and train.devices may change."
            )
    return (before if longer else None), True


def _plain(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def _differences(theirs: Any, ours: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in {**theirs, **ours}:
            yield from _differences(theirs.get(key), ours.get(key), f"{name}.{key}".lstrip("."))
    elif theirs != ours:
        yield name, f"{name}: {theirs} there, {ours} now"
