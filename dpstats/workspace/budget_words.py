"""Budgets in words: how many questions more, until when, and how sure that is. Pure; every door says the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_DOWN, Decimal

from dpstats.privacy.blocks import STATIC
from dpstats.privacy.loss import Measure
from dpstats.words import full_day, full_month
from dpstats.workspace.burndown import FEWEST_DAYS, HORIZON_DAYS, RECENT_DAYS, Outlook, Pace, Part
from dpstats.workspace.yearly import Year

_MONTH, _YEARS = 31, 730
"""Days of an interval up to which its middle is told to the day, and to the month."""


def questions_left(times: int) -> str:
    """`Enough budget for about 37 more questions like this.` Above 100, two digits are told, rounded down.

    Args:
      times: how many more answers of this price are covered, >= 0.
    """
    if times < 1:
        return "Not enough budget is left for a question like this."
    if times == 1:
        return "Enough budget for one more question like this."
    return f"Enough budget for {about_times(times)} more questions like this."


def about_times(times: int) -> str:
    """`about 37`, `about 1,200`: what others spend meanwhile is not known, so it is never exact."""
    told = Decimal(times)
    if times > 100:
        told = told.quantize(Decimal(1).scaleb(told.adjusted() - 1), rounding=ROUND_DOWN)
    return f"about {int(told):,}"


def not_covering(limit: Mapping[str, str | None]) -> str:
    """`the budget of block 2017-03`: what does not cover an answer, by a preview's `limited_by`."""
    scope, name = limit["scope"], limit["name"]
    if scope == "block":
        return "the budget of what has no time" if name == STATIC else f"the budget of block {name}"
    return {"dataset": "the dataset's budget for life", "token": "your token's cap"}.get(
        str(scope), f"the cap of {scope} {name}"
    )


def way_out(limit: Mapping[str, str | None]) -> str:
    """What can be done about it. Nobody is sent to a steward for a budget that never refills."""
    if limit["scope"] == "block":
        return "It never refills."
    return "A steward can make a token with a higher one." if limit["scope"] == "token" else "A steward can raise it."


def pace_says(found: Pace | None, outlook: Outlook | None, today: date) -> str:
    """Until when a budget lasts at the pace of late, and how sure that is."""
    if found is None or outlook is None:
        return f"Too early for a forecast: it takes {FEWEST_DAYS} days from the first charge on."
    if not found.charges:
        return f"Nothing was charged in the last {found.days} days: at this pace it is never used up."
    if outlook.ends_on == today:
        return "At this pace it is used up today."
    if outlook.ends_on is None:
        at_least = f", and at least until {full_month(outlook.earliest)}" if outlook.earliest else ""
        return f"At this pace it lasts for more than {HORIZON_DAYS // 365} years{at_least}."
    return f"At this pace it lasts until {_rounded(outlook)} {_between(outlook)}."


def pace_assumes(found: Pace | None) -> str:
    """What a forecast from spending takes for granted."""
    if found is None or not found.charges:
        return f"A forecast goes by the charges of the last {RECENT_DAYS} days."
    charges = "the one charge" if found.charges == 1 else f"the {found.charges:,} charges"
    return f"Takes for granted that {charges} since {full_day(found.since)} tell how often and how dearly people ask."


def cadence_says(outlook: Outlook, queries: int, without: int) -> str:
    """Until when a budget lasts if every approved query is asked as often as it says, or once a year (`without`)."""
    if not queries:
        return "No query is approved: nothing is planned to be spent."
    asked = "once a year each" if without == queries else "as often as they say"
    if outlook.ends_on is None:
        return f"Asked {asked}, the approved queries can go on for more than {HORIZON_DAYS // 365} years."
    return f"Asked {asked}, the approved queries use it up on {full_day(outlook.ends_on)}."


def cadence_assumes(queries: int, without: int) -> str:
    """What a forecast from cadences takes for granted."""
    text = "Takes for granted that each is asked at its cadence, always with the same parameters, and nothing else is"
    if not without:
        return f"{text}."
    which = "none of them names a cadence" if without == queries else f"{without} of the {queries} name no cadence"
    return f"{text}; {which}, which counts as once a year."


def year_says(year: Year, cadence: str | None, share: float) -> str:
    """`A year of it, asked monthly, brings 12 charges: 9.8 % of the whole budget.`"""
    brings = "1 charge" if year.charges == 1 else f"{year.charges:,} charges"
    asked = "asked once" if cadence in (None, "once") else f"asked {cadence}"
    return f"A year of it, {asked}, brings {brings}: {percent(share)} of the whole budget."


def percent(share: float) -> str:
    """A share in percent, two digits: `9.8 %`, `0.12 %`, `43 %`; never told as nothing or as all when it is not."""
    if share <= 0:
        return "0 %"
    if share < 0.0001:
        return "less than 0.01 %"
    if share >= 1:
        return f"{share * 100:,.0f} %"
    if share > 0.99:
        return "more than 99 %"
    digits = 0 if share >= 0.1 else 1 if share >= 0.01 else 2
    return f"{share * 100:.{digits}f} %"


def part_named(part: Part, measure: Measure) -> str:
    """The amount that is used up first, by its name: rho, epsilon or delta."""
    return "delta" if part is Part.DELTA else measure.unit


def _rounded(outlook: Outlook) -> str:
    """The likely day, told as exactly as its interval allows."""
    if outlook.ends_on is None or outlook.earliest is None:
        return "an unknown day"
    width = None if outlook.latest is None else (outlook.latest - outlook.earliest).days
    if width is not None and width <= _MONTH:
        return full_day(outlook.ends_on)
    return (
        f"about {full_month(outlook.ends_on)}" if width is None or width <= _YEARS else f"about {outlook.ends_on.year}"
    )


def _between(outlook: Outlook) -> str:
    if outlook.earliest is None:
        return ""
    if outlook.latest is None:
        return f"(95 % sure: not before {full_month(outlook.earliest)}; how long at most, too few charges tell)"
    exact = (outlook.latest - outlook.earliest).days <= _MONTH
    told = full_day if exact else full_month
    if told(outlook.earliest) == told(outlook.latest):
        return f"(95 % sure: in {told(outlook.earliest)})"
    return f"(95 % sure: between {told(outlook.earliest)} and {told(outlook.latest)})"
