"""The transparency report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from dpstats.rights.notice import read_in_place
from dpstats.rights.notice_text import category_name, escaped, kept_for, within


def markdown(report: Mapping[str, Any], made_on: date) -> str:
    """The report's text, with the day it was made."""
    return "\n".join(_lines(report, made_on)).rstrip() + "\n"


def _lines(report: Mapping[str, Any], made_on: date) -> Iterator[str]:
    yield f"# What {escaped(within(report['business']))} asked of its data"
    yield from ("", f"As of {made_on.isoformat()}. Privacy notice {report['notice_version']}.", "")
    yield "No number here counts people. What was asked and granted is outside the noise: it depends on nobody's data."
    yield ""
    for dataset in report["datasets"]:
        yield from _dataset(dataset)
    yield from _requests(report["requests"])
    yield from ("## Promised", "", report["reidentification_commitment"]["text"], "", report["past_statistics"], "")
    yield from (report["how_to_opt_out"], "", disk_encryption(report["disk_encryption"]), "")
    yield f"Signatures are checked with {report['public_key']}."


def data_lines(dataset: Mapping[str, Any]) -> Iterator[str]:
    """Each purpose of a dataset, and each category of its columns: which they are, what for, and kept for how long."""
    for purpose in dataset["purposes"]:
        yield f"{purpose['title']}: {purpose['says'].replace('this notice', 'the privacy notice')}."
    titles = {purpose["purpose"]: purpose["title"] for purpose in dataset["purposes"]}
    for category in dataset["categories"]:
        columns = ", ".join(dict.fromkeys(each["column"].replace("_", " ") for each in category["columns"]))
        sensitive = " (sensitive)" if category["sensitive"] else ""
        uses = ", ".join(titles.get(each, each) for each in category["purposes"])
        name, kept = category_name(category["category"]), kept_for(category["retention_days"])
        yield f"{name}{sensitive}: {columns}. For {uses}. Kept {kept}."
    if read_in_place(dataset):
        yield read_in_place(dataset)


def _query(query: Mapping[str, Any]) -> str:
    told = f"- {escaped(query['says'])} For {escaped(query['purpose'])}."
    told += each_answer(query["cost"])
    told += smallest_group(query["smallest_group"])
    return told + (SIGNIFICANT if query["significant_decision"] else "")


def each_answer(cost: Mapping[str, Any] | None) -> str:
    """What one answer alone gives away at most; nothing where it is not known before keys are read."""
    if cost is None:
        return ""
    delta = f" and delta {cost['delta']:g}" if cost["delta"] else ""
    return f" Each answer: epsilon {cost['epsilon']:g}{delta} alone."


def smallest_group(floor: int | None) -> str:
    """Below which noisy count a group is not told of."""
    return "" if floor is None else f" Groups whose noisy count is below {floor:,} are withheld."


def disk_encryption(said: str | None) -> str:
    """How the data lie on their disk, as the operator says it."""
    return f"On disk, as the operator says: {escaped(said)}." if said else "How the disk is encrypted is not said."


SIGNIFICANT = " Used for decisions about people's finance, housing, education, work or health."


def _requests(requests: Mapping[str, Any]) -> Iterator[str]:
    """Rounded totals of people's requests."""
    yield from ("## What people asked about their own data", "", requests["says"], "")
    if not requests["years"]:
        yield from ("There is no year to tell of yet.", "")
        return
    yield from ("| year | to | received | complied with | denied |", "| --- | --- | --- | --- | --- |")
    for line in requests["years"]:
        asks = line["type"].replace("_", " ")
        yield f"| {line['year']} | {asks} | {line['received']} | {line['complied']} | {line['denied']} |"
    yield ""


def _dataset(dataset: Mapping[str, Any]) -> Iterator[str]:
    budget = dataset["budget"]
    unit = "epsilon" if budget["rho"] is None else "rho"
    yield from (f"## {escaped(dataset['title'])}", "", f"Protected is {escaped(dataset['unit_of_privacy'])}.", "")
    yield f"Budget for life: epsilon {budget['epsilon']:g} at delta {budget['delta']:g};"
    yield f"{budget['epsilon_spent']:g} of it is spent, {budget['epsilon_remaining']:g} is left."
    yield f"Who may raise it: {dataset['who_may_raise'][:1].lower()}{dataset['who_may_raise'][1:]}"
    yield from ("", "### Data, and what they are used for", "")
    yield from (f"- {escaped(line)}" for line in data_lines(dataset))
    yield from ("", "### Approved questions", "")
    yield from (_query(query) for query in dataset["queries"])
    if not dataset["queries"]:
        yield "None is approved now."
    yield from ("", "### Spent", "", f"| month | purpose | answers | {unit} |", "| --- | --- | ---: | ---: |")
    for line in dataset["spent"]:
        yield f"| {line['month']} | {escaped(line['purpose'])} | {line['answers']} | {line['amount']:g} |"
    yield from ("", "### Granted", "", f"| day | {unit} |", "| --- | ---: |")
    yield from (f"| {grant['day']} | {grant['amount']:g} |" for grant in dataset["grants"])
    head = dataset["ledger_head"]
    yield from ("", f"Newest entry of the ledger: {head['seq']}, `{head['hash']}`, signed `{head['signature']}`.", "")
