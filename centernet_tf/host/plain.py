"""Text from data, files and errors for the terminal: shown as it is, whatever it holds."""

from rich.text import Text


def plain(text: object, style: str = "") -> Text:
    """For rich's tables and consoles: no markup such as [bold], no :emoji:, nothing that moves the cursor.

    Args:
        text: Names of classes and files, messages. Line breaks are kept; other characters that do not print, also those
            of file names that are not UTF-8, are shown by their numbers.
        style: As rich has it.
    """
    shown = (char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(text))
    return Text("".join(shown), style=style)
