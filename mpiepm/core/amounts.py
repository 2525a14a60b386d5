"""Sizes, times and counts as people read them."""

import math


def in_bytes(number: float, digits: int = 4) -> str:
    """A number of bytes: 82.13 kB."""
    power = min(int(math.log10(max(number, 1)) / 3), 4)
    return f"{number / 1000**power:.{digits}g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def number_of(number: int, noun: str) -> str:
    """A number of things: 1 rank, 4 ranks."""
    return f"{number} {noun}{'s' * (number != 1)}"


def in_time(seconds: float) -> str:
    """A time, in the unit that suits it: 34 s, 5 min, 2.5 h, 3.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"
