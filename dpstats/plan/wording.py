"""Names and numbers in sentences for people. Pure."""

from __future__ import annotations

import math
import re


def noun(privacy_unit: str) -> str:
    """What one privacy unit is called, from the name of its key column: household_id is a household."""
    words = re.sub(r"_?(id|key|uuid|no|number|code)$", "", privacy_unit.lower()).strip("_").replace("_", " ")
    return words if len(words) > 1 else "unit"


def plural(thing: str) -> str:
    """households, companies, boxes."""
    if re.search(r"[^aeiou]y$", thing):
        return f"{thing[:-1]}ies"
    return f"{thing}es" if re.search(r"(s|x|z|ch|sh)$", thing) else f"{thing}s"


def counted(count: int, thing: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{count:,} {thing if count == 1 else plural(thing)}"


def amount(value: float, unit: str | None = None) -> str:
    """A number to three digits, whole from 100 on, with its unit: `0.0123`, `7,600 USD`."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{min(15, digits)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}" if unit else text


def about(value: float, unit: str | None = None) -> str:
    """A noisy number to three digits: `160,000 USD`, `8.88`."""
    return amount(float(f"{value:.3g}"), unit)


def exactly(value: float, unit: str | None = None) -> str:
    """A number as it was written, with thousands set apart: `6,000 USD`, `0.125`."""
    text = f"{value:,.12f}".rstrip("0").rstrip(".")
    return f"{text} {unit}" if unit else text


def plainly(value: float) -> str:
    """A number as a file has it: 7600, 0.125."""
    return exactly(value).replace(",", "")


def rounded_down(value: float, digits: int = 4) -> float:
    """The number with so many digits, never above it. > 0."""
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return round(math.floor(value / step * (1 + 1e-12)) * step, 12)


def rounded_up(value: float, digits: int = 2) -> float:
    """The number with so many digits, never below it. > 0."""
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return round(math.ceil(value / step * (1 - 1e-12)) * step, 12)


def share(part: float, whole: float) -> str:
    """`15 % of that`; past the whole, `1.7 times that`. whole > 0."""
    ratio = part / whole
    return f"{amount(ratio)} times that" if ratio > 1 else f"{amount(rounded_up(100 * ratio))} % of that"
