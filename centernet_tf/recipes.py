"""The recipes of configs/: settings of runs whose results were measured, and starts for one's own data."""

from collections.abc import Mapping
from pathlib import Path

from centernet_tf.errors import UsageError, closest

OWN = "_own"  # behind the name of a task: the recipe for one's own data
_SUFFIX = ".yaml"


def folder() -> Path:
    """Where the recipes lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipes() -> Mapping[str, str]:
    """{name: what it is for}, the first sentence of each file, by name."""
    return {path.stem: _first_sentence(path) for path in sorted(folder().glob(f"*{_SUFFIX}"))}


def find(name: str | Path) -> Path:
    """The file of settings that is meant: one at this path, or else the recipe of this name.

    Raises:
        UsageError: There is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    known = recipes()
    asked = path.name.removesuffix(_SUFFIX)
    if asked in known and path.parent in (Path(), Path("configs")):
        return folder() / f"{asked}{_SUFFIX}"
    raise UsageError(
        f"{name}: no such file, and no recipe of that name.{closest(asked, known)} `centernet init --list` shows the "
        "recipes, `centernet init` writes one for your own data."
    )


def own(task: str) -> str:
    """The text of the recipe for one's own data.

    Raises:
        UsageError: No task has this name.
    """
    tasks = [name.removesuffix(OWN) for name in recipes() if name.endswith(OWN)]
    if task not in tasks:
        raise UsageError(f"{task!r} is no task.{closest(task, tasks)} Known are {', '.join(tasks)}.")
    return (folder() / f"{task}{OWN}{_SUFFIX}").read_text(encoding="utf-8")


def _first_sentence(path: Path) -> str:
    """Of the comment that a recipe begins with, without the command that may follow it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    said = " ".join(line.removeprefix("#").strip() for line in lines[:3] if line.startswith("#"))
    return said.partition("centernet ")[0].partition(". ")[0].strip().rstrip(".:")
