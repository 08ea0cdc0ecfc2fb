"""Counts as people read them."""

from collections.abc import Mapping


def counted(number: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def objects_told(objects: Mapping[str, int]) -> str:
    """ "3 objects (2 red, 1 green)": all that was found, by class, the commonest first."""
    ranked = sorted(objects.items(), key=lambda pair: (-pair[1], pair[0]))
    kinds = ", ".join(f"{count} {name}" for name, count in ranked)
    return counted(sum(objects.values()), "object") + (f" ({kinds})" if kinds else "")
