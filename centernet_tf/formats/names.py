"""Names of files for single images and for frames of videos."""

from pathlib import Path

from centernet_tf.media.sources import Source

FRAME_DIGITS = 6
LONGEST = 80  # letters of a class in the name of a folder


def stem_of(source: Source, frame: tuple[int, float] | None) -> str:
    """The name of an image without its suffix; of a frame, with its number behind it, from 0: "clip_000012"."""
    stem = Path(source.output).stem
    return stem if frame is None else f"{stem}_{frame[0]:0{FRAME_DIGITS}}"


def folder_name(text: str) -> str:
    """A class as the name of a folder on any system."""
    kept = "".join(letter if letter.isalnum() or letter in "-. " else "_" for letter in text)[:LONGEST]
    return kept.strip(" .") or "_"
