"""Numbers, times and uncertainty as a page words them. Pure: what time it is is said by the caller."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from dpstats.words import age as age_of
from dpstats.words import at_least, counted, full_day, full_month, short_day
from dpstats.workspace.budget_words import not_covering, way_out


def number(value: float | None) -> str:
    """An amount, exactly, without an exponent: 0.005, 0.000001."""
    if value is None:
        return "none"
    text = f"{Decimal(repr(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def half_width(value: float | None, unit: str | None = None) -> str:
    """A 95 % half-width to two digits, whole from 10 on: `give or take 28`, `give or take 14,000 USD`."""
    if value is None or not math.isfinite(value):
        return "give or take what each row says"
    return f"give or take {amount(value, unit)}"


def amount(value: float, unit: str | None = None, digits: int = 2) -> str:
    """A number to two digits, rounded up so that no error looks smaller: `28`, `14,000 USD`, `0.013`."""
    if not value:
        return f"0 {unit}" if unit else "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    step = 10.0**-places
    text = f"{math.ceil(value / step - 1e-9) * step:,.{max(0, places)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}" if unit else text


def enough(times: int, thing: str = "question") -> str:
    """`enough for about 37 more questions like this`."""
    if times < 1:
        return f"not enough for another {thing} like this"
    return f"enough for about {times:,} more {thing if times == 1 else thing + 's'} like this"


def covered(times: int, grain: str = "") -> str:
    """`Enough for about 37 more questions like this, in all.`; over blocks of time, `.. about the same months.`

    Args:
      grain: the length of a block, "" where there are none. A block's budget never refills, so nothing is promised
        of the month in which it is asked.
    """
    text = enough(times)
    over = f" about the same {grain}s" if grain else ", in all"
    return f"{text[:1].upper()}{text[1:]}{over}."


def day(iso: str | datetime, now: datetime | None = None) -> str:
    """`3 March`, with its year if that is not this one; in UTC, as the ledger counts days."""
    return short_day(_moment(iso), now or datetime.now(UTC))


def age(iso: str | datetime, now: datetime | None = None) -> str:
    """`just now`, `5 minutes ago`, `1 day ago`; a moment after `now` is just now."""
    return age_of(_moment(iso), now or datetime.now(UTC))


def moment(iso: str | datetime) -> str:
    """A stored moment to the minute: `3 March 2026, 14:05 UTC`."""
    there = _moment(iso)
    return f"{full_day(there)}, {there:%H:%M} UTC"


def in_words(name: str) -> str:
    """A name of a file or column as words: `spend_by_income` is `spend by income`."""
    return name.replace("_", " ").strip()


def listed(items: list[str] | tuple[str, ...]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = items or ("nothing",)
    return f"{', '.join(first)} and {last}" if first else last


def settings(parameters: Mapping[str, object]) -> str:
    """`since 1 January 2017, until 2 January 2018`; without parameters nothing."""
    return ", ".join(f"{in_words(name)} {_told(value)}" for name, value in parameters.items())


def _told(value: object) -> object:
    """A parameter's value; a date in words, with its year."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        with suppress(ValueError):  # a choice's text may look like a day and be none
            return full_day(date.fromisoformat(value))
    return value


def month(year_and_month: str) -> str:
    """`2026-11` is `November 2026`."""
    return full_month(date.fromisoformat(f"{year_and_month}-01"))


def head(text: str) -> str:
    """The head of a column or the name of a fact, which begin with a capital letter."""
    return text[:1].upper() + text[1:]


def breakable(name: str) -> Markup:
    """A name of a file or column, escaped, that a narrow column may break after a `_` and nowhere else."""
    return Markup("_<wbr>").join(name.split("_"))


def commands(text: str) -> Markup:
    """A text, escaped, with what stands between backticks set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    codes = Markup("<code>{}</code>")
    return Markup("").join(codes.format(part) if place % 2 else part for place, part in enumerate(parts))


def without_commands(text: str) -> str:
    """A refusal as a page tells it: what is done on a command line is not what its reader can do."""
    said = re.sub(r",? with (a higher )?`-?-?[^`]+`", "", text)
    return said.partition(": `dpstats ")[0].partition(": /openapi.json")[0]


def _moment(iso: str | datetime) -> datetime:
    found = datetime.fromisoformat(iso) if isinstance(iso, str) else iso
    return found.astimezone(UTC)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "at_least": at_least,
    "half_width": half_width,
    "amount": amount,
    "enough": enough,
    "covered": covered,
    "not_covering": not_covering,
    "way_out": way_out,
    "counted": counted,
    "day": day,
    "age": age,
    "moment": moment,
    "month": month,
    "head": head,
    "in_words": in_words,
    "listed": listed,
    "settings": settings,
    "breakable": breakable,
    "commands": commands,
    "without_commands": without_commands,
}
"""What templates may call, as `{{ value | name }}`."""
