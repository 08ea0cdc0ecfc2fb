"""The progress bar of all commands."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from centernet_tf.host.plain import plain


class _Description(ProgressColumn):
    """What is worked on, which may be a file of any name."""

    def render(self, task: Task) -> Text:
        return plain(task.description)


def progress(console: Console | None = None, transient: bool = True, quiet: bool = False) -> Progress:
    """A bar with what is done, how much of how many, and the time that remains; a context manager.

    Args:
        console: Where it is drawn; on standard error by default, so that output that is piped stays clean.
        transient: Remove the bar when all is done.
        quiet: Draw nothing.
    """
    columns = (_Description(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=transient, disable=quiet)
