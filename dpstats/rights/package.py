"""The answer to a request to know, as files: JSON for machines, CSV for tables, HTML to read. Pure.

It never holds a statistic without its noise, or the size of a group: of the statistics that a person's data could have
entered, what was published is told, and what they may have given away at most.

Source: 1798.110, 1798.130(a)(3)(B); 11 CCR 7024(d), (h) to (k).
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

from dpstats.rights.notice_text import NOBODY_SAID, from_where, got_by

MAY_BE_IN = (
    "These are all statistics that were published from these data. Data about you may be in any of them, or in none: "
    "that went by when the data came, what you had decided by then, what was asked, and limits on how much one person "
    "adds. It is not looked up again for each. The values are the published ones, with noise."
)
OPT_OUT_OFFERED = (
    "You can say no to the sale and sharing of what is kept about you, at /opt-out, without saying who you are."
)
"""What is told to who asked for a deletion and does not get all of it (7022(g))."""
BOUND = (
    "Everything published so far, taken together, tells about you at most what this epsilon allows, whoever looks and "
    "whatever else they know. It is an upper bound: it counts every answer as if your data were in it."
)
UNREAD = "We cannot read {} now, where its owner keeps it. What it says about you is not here: we will send it later."
STATISTICS_MAX = 10_000
"""The newest statistics that a package lists."""


@dataclass(frozen=True)
class TableOf:
    """A table's rows of the person. `withheld`: columns that are held, and are not sent out for the person's safety.

    `refused`: columns that are held and are not told, each with why, as the person reads it. `unread`: no row of it
    could be read now, and it must be sent later. `in_place`: its rows are its owner's, and no deletion takes them.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    withheld: Sequence[str]
    unread: bool = False
    in_place: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def unread_told(self) -> str | None:
        """What the person is told of a table that could not be read."""
        return UNREAD.format(self.name) if self.unread else None

    def without(self, refused: Mapping[str, str]) -> TableOf:
        """The table without the columns that are refused, by `table.column`."""
        found = {
            column: refused[f"{self.name}.{column}"] for column in self.columns if f"{self.name}.{column}" in refused
        }
        kept = [place for place, column in enumerate(self.columns) if column not in found]
        rows = [[row[place] for place in kept] for row in self.rows]
        return replace(self, columns=[self.columns[place] for place in kept], rows=rows, refused=found)


@dataclass(frozen=True)
class Told:
    """Everything that a package holds; `tables` empty where only categories may be told.

    `kept_back`: the columns that are kept of a deletion, each with why, as the person reads it.
    """

    request_id: str
    made_at: str
    told: Mapping[str, Any]
    consent: Sequence[Mapping[str, str]]
    linked: Sequence[str]
    corrections: Sequence[Mapping[str, Any]]
    kept_back: Sequence[Mapping[str, str]]
    tables: Sequence[TableOf]
    specific: bool
    statistics: Sequence[Mapping[str, Any]]
    epsilon_at_most: float
    delta: float

    @property
    def tells_pieces(self) -> bool:
        """Whether it holds anything that goes with a person who is deleted."""
        return bool(self.linked or self.corrections or any(table.rows for table in self.tables if not table.in_place))


def zipped(told: Told) -> bytes:
    """The package as a ZIP of JSON, CSV and HTML files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in _files(told):
            # A fixed date: when the package was made stands inside.
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return made.getvalue()


def _files(told: Told) -> Iterator[tuple[str, str]]:
    yield "package.json", json.dumps(_json(told), indent=1, ensure_ascii=False)
    for table in (each for each in told.tables if not each.unread):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(table.columns)
        writer.writerows(table.rows)
        yield f"{table.name}.csv", text.getvalue()
    yield "package.html", "\n".join(_html(told))


def _json(told: Told) -> dict[str, Any]:
    return {
        "request": told.request_id,
        "made_at": told.made_at,
        "dataset": dict(told.told),
        "specific_pieces": [
            {
                "table": table.name,
                "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                "held_but_not_sent": list(table.withheld),
                "not_read_now": table.unread_told,
                "refused": [{"column": column, "why": why} for column, why in table.refused.items()],
            }
            for table in told.tables
        ]
        if told.specific
        else None,
        "linked_ids": list(told.linked),
        "corrections": [dict(each) for each in told.corrections],
        "kept_back": [dict(each) for each in told.kept_back],
        "consent": [dict(event) for event in told.consent],
        "statistics": {"says": MAY_BE_IN, "items": [dict(item) for item in told.statistics]},
        "privacy_loss": {"epsilon_at_most": told.epsilon_at_most, "delta": told.delta, "says": BOUND},
    }


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72ch;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #999}"
)


def _html(told: Told) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>Data about you</title>'
    yield f"<style>{_STYLE}</style>"
    yield f"<h1>Data about you: {escape(str(told.told['title']))}</h1><p>Made {escape(told.made_at)}.</p>"
    yield "<h2>Categories, and what they are used for</h2><ul>"
    for category in told.told["categories"]:
        yield f"<li><b>{escape(str(category['category']))}</b>: for {escape(', '.join(category['purposes']))}</li>"
    yield "</ul><h2>Where they come from, and who gets them</h2>"
    yield f"<p>{escape(from_where(told.told['collected_from']))}</p><ul>"
    yield from (f"<li>{escape(got_by(each))}</li>" for each in told.told["disclosed_to"])
    yield f"</ul>{'' if told.told['disclosed_to'] else f'<p>{NOBODY_SAID}</p>'}<h2>Specific pieces</h2>"
    if not told.specific:
        yield "<p>Not sent: for these, more must be known of who asks. Ask again with a signed declaration.</p>"
    for table in told.tables:
        yield from _html_table(table)
    if told.linked:
        yield f"<h2>Ids that we know to be yours</h2><p>{escape(', '.join(told.linked))}</p>"
    if told.corrections:
        yield "<h2>What you had corrected</h2><ul>"
        yield from (f"<li>{escape(_corrected(each))}</li>" for each in told.corrections)
        yield "</ul>"
    if told.kept_back:
        yield "<h2>What we keep of what you had deleted</h2><ul>"
        yield from (f"<li>{escape(each['says'])}</li>" for each in told.kept_back)
        yield f"</ul><p>{escape(OPT_OUT_OFFERED)}</p>"
    yield "<h2>What you decided</h2><ul>"
    yield from (f"<li>{escape(e['at'])}: {escape(e['decision'])} for {escape(e['purpose'])}</li>" for e in told.consent)
    yield "</ul><h2>Statistics that your data could have entered</h2>" + f"<p>{MAY_BE_IN}</p><ul>"
    yield from (
        f"<li>{escape(i['as_of'])}: {escape(i['title'])} ({escape(i['purpose'])})</li>" for i in told.statistics
    )
    yield "</ul><h2>What they may tell about you at most</h2>"
    yield f"<p>Epsilon {told.epsilon_at_most:g} at delta {told.delta:g}. {BOUND}</p></html>"


def _corrected(correction: Mapping[str, Any]) -> str:
    cells = ", ".join(f"{column} is {value}" for column, value in correction["set"].items())
    return f"{correction['since']}: in {correction['table']}, {cells}, until the source says so too"


def _html_table(table: TableOf) -> Iterator[str]:
    if table.unread_told is not None:
        yield f"<h3>{escape(table.name)}</h3><p>{escape(table.unread_told)}</p>"
        return
    yield f"<h3>{escape(table.name)}</h3><table><tr>"
    yield from (f"<th>{escape(column)}</th>" for column in table.columns)
    yield "</tr>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{escape(cell or '')}</td>" for cell in row) + "</tr>"
    yield "</table>"
    if table.withheld:
        yield f"<p>We also hold {escape(', '.join(table.withheld))}, which we never send out (7024(d)).</p>"
    yield from (f"<p>{escape(why)}</p>" for why in table.refused.values())
