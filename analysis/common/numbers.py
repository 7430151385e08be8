"""Numbers for people."""

from __future__ import annotations

from math import ceil, floor, log10

TIMES, DASH = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


class Quantity(str):
    """A number as people read it, which still knows what it was made from.

    value: in `unit` without a prefix. limits: lowest and highest, where an interval is told with
    it.
    """

    value: float
    unit: str
    limits: tuple[float, float] | None

    def __new__(cls, text: str, value: float, unit: str = "", limits: tuple[float, float] | None = None) -> Quantity:
        """A string with three attributes more."""
        made = super().__new__(cls, text)
        made.value, made.unit, made.limits = value, unit, limits
        return made


def si(value: float, unit: str, digits: int = 3) -> Quantity:
    """With an SI prefix: `si(3.2e-6, "J") == "3.20 µJ"`."""
    factor, prefix = si_scale(value)
    return Quantity(f"{significant(value / factor, digits)} {prefix}{unit}", value, unit)


def si_scale(value: float) -> tuple[float, str]:
    """Factor and prefix that bring a value to 1 .. 1000."""
    power = 3 * floor(log10(abs(value)) / 3) if value else 0
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return 10.0**power, PREFIXES[power]


def significant(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    places = digits - 1 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{min(max(places, 0), 9)}f}"


def count(value: float) -> Quantity:
    """Integers with separators; means of small counts with one decimal."""
    return Quantity(f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}", value)


def plain(value: float) -> Quantity:
    """Four significant digits, for a value whose unit is said elsewhere."""
    return Quantity(f"{value:.4g}", value)


def counted(number: int, noun: str) -> str:
    """`counted(1, "spike") == "1 spike"`, `counted(1200, "spike") == "1,200 spikes"`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(fraction: float, places: int = 2) -> Quantity:
    """`percent(0.9823) == "98.23 %"`."""
    return Quantity(f"{100 * fraction:.{places}f} %", 100 * fraction, "%")


def points(value: float) -> str:
    """Percentage points."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) inside a range."""
    step = 10.0 ** floor(log10((high - low) / most))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= most)
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
