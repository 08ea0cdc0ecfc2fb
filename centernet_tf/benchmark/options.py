"""Words behind the name of a table, read as a command line; what is wrong is a UsageError, as everywhere."""

import argparse
from typing import NoReturn

from centernet_tf.errors import UsageError


class Options(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the program.

    Args:
        table: Name of the table, for messages.
        about: What it measures.
    """

    def __init__(self, table: str, about: str):
        super().__init__(prog=f"benchmark {table}", description=about, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog.removeprefix('benchmark ')}: {message}. {self.prog} --help lists what there is.")


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
