"""The facts of a risk assessment as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dpstats.rights.notice_text import escaped, within


def markdown(assessment: Mapping[str, Any]) -> str:
    """The text of `assessment_of`."""
    return "\n".join(_lines(assessment)).rstrip() + "\n"


def _lines(assessment: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"# Facts for a risk assessment of {escaped(within(assessment['business']))}", "")
    yield from (f"Made on {assessment['made_on']}. Version {assessment['version']}.", "", assessment["says"], "")
    yield from (f"To be looked over by {assessment['review_by']}, and within 45 days of a material change.", "")
    encryption = assessment["disk_encryption"]
    yield from (f"Encryption of the disk: {escaped(encryption['said'])}; {encryption['seen']}.", "")
    for dataset in assessment["datasets"]:
        yield from _dataset(dataset)
    yield from ("## For people to write", "")
    yield from (f"- **{section}**: {what}" for section, what in assessment["for_people_to_write"].items())


def _dataset(dataset: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {escaped(dataset['title'])}", "")
    for reason in dataset["needed_because_7150(b)"] or ["no reason of 11 CCR 7150(b) is seen in the files"]:
        yield f"- Assessment: {escaped(reason)}"
    yield from ("", "### What is held, and what for", "")
    for section, said in dataset["declared"].items():
        yield from _section(section, said)
    yield from ("", "### Safeguards", "")
    private = dataset["safeguards"]["differential_privacy"]
    budget = private["budget_for_life"]
    yield f"- {private['says']}"
    rows, group = private["rows_of_a_unit_at_most"], private["least_noisy_count_of_a_found_group"]
    yield f"  The unit is {escaped(private['unit'])}; at most {rows} rows of it are kept in a table."
    yield f"  Budget for life: epsilon {budget['epsilon']:g} at delta {budget['delta']:g};"
    yield f"  {private['epsilon_spent']:g} of it is spent."
    yield f"  A group that is found in the data is released from a noisy count of {group} units on."
    yield from (f"- {other}" for other in dataset["safeguards"]["others"])
    yield from ("", "### Approved questions", "")
    yield from (f"- {escaped(query['says'])} For {escaped(query['purpose'])}." for query in dataset["questions"])
    if not dataset["questions"]:
        yield "None is approved now."
    yield from ("", "### Changes", "")
    yield from (
        f"- {each['on']}: {', '.join(each['what'])}; update by {each['update_by']}" for each in dataset["changes"]
    )
    if not dataset["changes"]:
        yield "None since it was registered."
    yield ""


def _section(section: str, said: Any) -> Iterator[str]:
    if isinstance(said, Mapping):
        yield f"- **{section}**: {escaped('; '.join(f'{name}: {value}' for name, value in said.items())) or 'none'}"
    elif isinstance(said, str) or said is None:
        yield f"- **{section}**: {escaped(said or 'none')}"
    else:
        yield f"- **{section}**: {escaped('; '.join(_item(item) for item in _listed(said))) or 'none'}"


def _listed(said: object) -> Sequence[object]:
    return said if isinstance(said, Sequence) else [said]


def _item(item: object) -> str:
    if isinstance(item, Mapping):
        what = ", ".join(item["categories"])
        return f"{item['who']} ({item['kind'].replace('_', ' ')}) gets {what} for {', '.join(item['purposes'])}"
    return str(item)
