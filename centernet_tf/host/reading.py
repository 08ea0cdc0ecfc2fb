"""Text and file names from elsewhere: what is not in UTF-8 is told, names that no system can have are no files, and
addresses no paths.
"""

import os
import re
from pathlib import Path

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_CUT = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]", re.IGNORECASE)  # what pathlib makes of an address


def decode(data: bytes) -> str:
    """Text of a file in UTF-8, with or without byte order mark.

    Raises:
        ValueError: It is another encoding, or no text; the line is named.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not in UTF-8; save the file in UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"line {line} holds a NUL, so this is no text, or not in UTF-8; save the file in UTF-8")
    return text


def read_lines(path: Path, error: type[Exception]) -> list[str]:
    """The lines of a text file, without their ends.

    Args:
        path: The file.
        error: `DataError` or `UsageError`: raised where the file cannot be read, or its text is not in UTF-8.
    """
    try:
        text = decode(path.read_bytes())
    except (OSError, ValueError) as reason:
        said = getattr(reason, "strerror", None) or reason
        raise error(f"{printable(path)}: not readable as text ({said}).") from reason
    # Lines of other programs' text may hold what `splitlines` takes for ends too.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def is_file(path: Path) -> bool:
    """Whether there is such a file; no for names that are too long or impossible, of which Python raises."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """As `is_file`, for a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def printable(name: str | Path) -> str:
    """A file name as text that can be printed and stored: bytes that are not UTF-8 become \\xe9 and the like."""
    text = str(name)
    if is_text(text):
        return text
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a character, as JSON can hold
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_text(text: str) -> bool:
    """Whether a text can be written in UTF-8; what JSON and the names of files give need not be."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def scheme_of(text: str) -> str:
    """ "rtsp" of "rtsp://camera/1"; "" of a path of this machine. A second letter tells C:// from a scheme."""
    match = _ADDRESS.match(text)
    return match[1].lower() if match else ""


def address_in(path: Path) -> str:
    """The address that a path was made of, for pathlib takes a slash of it away; "" where it was none."""
    text = str(path)
    match = _CUT.match(text)
    return f"{match[1]}://{text[match.end() :]}" if match else ""
