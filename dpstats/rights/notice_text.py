"""The notice as Markdown, in short sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from dpstats.catalog.acting import told_to_consumers
from dpstats.catalog.disclosed import RECIPIENT_WORDS
from dpstats.rights.notice import CATEGORY_UNSAID, UNNAMED, read_in_place


def markdown(notice: Mapping[str, Any], updated_on: date) -> str:
    """The text of `notice_of`, with the day that this version was made."""
    return "\n".join(_lines(notice, updated_on)).rstrip() + "\n"


def kept_for(days: int | None) -> str:
    """How long something is kept, in words."""
    if days is None:
        return "for as long as the purposes above need it"
    return f"for at most {days} {'day' if days == 1 else 'days'}"


def category_name(category: str) -> str:
    """A category as it is told: what its file does not say is told as not sorted yet."""
    return "Not sorted into a category yet" if category == CATEGORY_UNSAID else category.capitalize()


def within(business: str) -> str:
    """A business's name inside a sentence. Notices keep their version: it is told otherwise, not another content."""
    return "this business" if business == UNNAMED else business


def _lines(notice: Mapping[str, Any], updated_on: date) -> Iterator[str]:
    yield f"# {TITLES[notice.get('kind')]} of {escaped(within(notice['business']))}"
    yield ""
    yield f"Last updated {updated_on.isoformat()}. Version {notice['version']}."
    yield ""
    yield (
        "We answer questions about groups of people with statistics that are made noisy on purpose, so that nobody "
        "can tell from them what one person's data are. This notice says which data the statistics are made from."
    )
    yield ""
    if notice["acts_as"] == "service_provider":
        yield from (escaped(acts_for(notice)), "")
    for dataset in notice["datasets"]:
        yield from _dataset(dataset)
    yield from ("## What you can do", "")
    if "rights" in notice:
        yield from (f"- {right['says']} ({right['section']})" for right in notice["rights"])
        yield from ("", notice["past_statistics"], "")
    if "opt_out" in notice:
        yield from (
            f"Say no to sale and sharing at {notice['opt_out']}. The whole notice is at {notice['policy']}.",
            "",
        )
    yield from (notice["signals"], "")
    where = notice["contact"]
    yield f"Write to {escaped(where)}." if where else "Write to the business that asks for your data."
    if "reidentification_commitment" in notice:
        yield from ("", "## What we promise", "", notice["reidentification_commitment"]["text"])
    if "items" in notice:
        yield from ("", "## Item by item, as 11 CCR 7011(e) lists them", "")
        yield from (f"- **{item}**: {escaped(in_words(told))}" for item, told in notice["items"].items())
    yield from ("", "---", "", notice["footer"])


def acts_for(notice: Mapping[str, Any]) -> str:
    """What a service provider says in its own notice: whose the data are, and that requests go there."""
    controllers = [dataset["controller"] for dataset in notice["datasets"] if dataset["controller"]]
    return told_to_consumers(controllers, notice["contact"] or "")


TITLES: Mapping[str | None, str] = {
    None: "Privacy notice",
    "collection": "Notice at collection",
    "policy": "Privacy policy, the part about data held here,",
}
"""What a notice is called, by its kind."""


def in_words(told: str | list[str]) -> str:
    """An item's answer as one line."""
    return told if isinstance(told, str) else "; ".join(told) or "none"


def _dataset(dataset: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {escaped(dataset['title'])}", "")
    if dataset["description"]:
        yield from (escaped(" ".join(dataset["description"].split())), "")
    yield from ("### What it is used for", "")
    for purpose in dataset["purposes"]:
        yield f"- **{escaped(purpose['title'])}**: {purpose['says']}."
    sold = "Some of these uses count as selling or sharing data." if dataset["sold_or_shared"] else _NOT_SOLD
    yield from ("", sold, "", "### What is collected", "")
    for category in dataset["categories"]:
        section = f" ({category['section']})" if category["section"] else ""
        yield f"- **{category_name(category['category'])}**{section}, kept {kept_for(category['retention_days'])}."
        if category["sensitive"]:
            yield f"  Sensitive: {', '.join(category['sensitive'])}."
        for column in category["columns"]:
            kept_in = " We hold this, but never send it out." if column["never_disclosed"] else ""
            yield f"  - {escaped(column['column'].replace('_', ' '))}: {_why(column['why'])}{kept_in}"
    if read_in_place(dataset):
        yield from ("", read_in_place(dataset))
    yield from ("", "### Where it comes from, and who gets it", "", escaped(from_where(dataset["collected_from"])), "")
    yield from (f"- {escaped(got_by(each))}" for each in dataset["disclosed_to"])
    if not dataset["disclosed_to"]:
        yield NOBODY_SAID
    yield ""


NOBODY_SAID = "Who gets any of it besides the business itself is not said yet."


def from_where(sources: Sequence[str]) -> str:
    """The categories of sources, as a sentence."""
    return f"It comes from: {', '.join(sources)}." if sources else "Where it comes from is not said yet."


def got_by(recipient: Mapping[str, Any]) -> str:
    """A category of recipients, as a sentence."""
    how = "sold or shared" if recipient["sold_or_shared"] else "disclosed"
    what, purposes = ", ".join(recipient["categories"]) or "data", ", ".join(recipient["purposes"])
    return f"{recipient['who']} ({RECIPIENT_WORDS[recipient['kind']]}): {what}, {how} for {purposes}."


_NOT_SOLD = "None of these uses sells or shares data with others."


def _why(why: str) -> str:
    told = escaped(" ".join(why.split())) or "why it is needed is not said yet"
    return told if told.endswith(".") else f"{told}."


def escaped(text: str) -> str:
    """Text of a file inside Markdown: its own signs mean nothing, and no HTML comes through."""
    kept = "".join(f"\\{sign}" if sign in "\\`*_{}[]#|~" else sign for sign in text)
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
