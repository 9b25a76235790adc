"""The notice at collection and the privacy policy's part, made from the notice: what each must say, and no more.

Each has a version of its own, so that either can be checked. What the files do not know is told as not known, by name,
so that the business fills it in. Pure.

Source: notice at collection: 1798.100(a), 11 CCR 7012(e). Policy: 1798.130(a)(5), 11 CCR 7011(e).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dpstats.rights.notice import version_of

COLLECTION, POLICY = "collection", "policy"
NOT_KNOWN = "Not known from the files: the business must say it."
_AT_COLLECTION = ("business", "contact", "acts_as", "datasets", "signals", "footer")


def collection_of(notice: Mapping[str, Any]) -> dict[str, Any]:
    """The notice at collection: categories, what for, for how long, whether sold; and how to say no."""
    content: dict[str, Any] = {name: notice[name] for name in _AT_COLLECTION}
    content |= {"kind": COLLECTION, "opt_out": "/opt-out", "policy": "/privacy"}
    return content | {"version": version_of(content)}


def policy_of(notice: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a privacy policy that is about the data held here, with a key for each item of 11 CCR 7011(e)."""
    content = {name: value for name, value in notice.items() if name != "version"}
    content |= {"kind": POLICY, "items": _items(notice)}
    return content | {"version": version_of(content)}


def _items(notice: Mapping[str, Any]) -> dict[str, Any]:
    datasets = notice["datasets"]
    sold = sorted(
        {
            category["category"]
            for dataset in datasets
            for category in dataset["categories"]
            if set(category["purposes"]) & _sold_purposes(dataset)
        }
    )
    sensitive = sorted({c["category"] for dataset in datasets for c in dataset["categories"] if c["sensitive"]})
    sources = {each for dataset in datasets for each in dataset["collected_from"]}
    said = all(dataset["disclosed_to"] for dataset in datasets)
    buyers, others = _recipients(datasets, sold=True), _recipients(datasets, sold=False)
    return {
        "7011(e)(1)(A) categories collected": sorted({c["category"] for d in datasets for c in d["categories"]}),
        "7011(e)(1)(B) sources": _or_not_known(sources, all(dataset["collected_from"] for dataset in datasets)),
        "7011(e)(1)(C) purposes of collecting": sorted({p["title"] for d in datasets for p in d["purposes"]}),
        "7011(e)(1)(D) categories sold or shared": sold,
        "7011(e)(1)(E) to whom each is sold or shared": _or_not_known(set(_to_whom(buyers)), bool(buyers) or not sold),
        "7011(e)(1)(F) purposes of selling or sharing": sorted(
            {p["title"] for d in datasets for p in d["purposes"] if p["sold_or_shared"]}
        ),
        "7011(e)(1)(G) knowledge of selling data of people under 16": (
            "People who are known to be under 16 are counted for sale and sharing only where they said yes."
        ),
        "7011(e)(1)(H) categories disclosed for a business purpose": _or_not_known(
            {c for each in others for c in each["categories"]}, said
        ),
        "7011(e)(1)(I) to whom each is disclosed": _or_not_known(set(_to_whom(others)), said),
        "7011(e)(1)(J) purposes of disclosing": _or_not_known({p for each in others for p in each["purposes"]}, said),
        "7011(e)(1)(K) sensitive categories used": sensitive,
        "7011(e)(2) rights": [right["says"] for right in notice["rights"]],
        "7011(e)(3)(F) opt-out preference signals": notice["signals"],
        "7011(e)(3) how to ask": notice["contact"] or NOT_KNOWN,
    }


def _recipients(datasets: Sequence[Mapping[str, Any]], *, sold: bool) -> list[Mapping[str, Any]]:
    return [each for dataset in datasets for each in dataset["disclosed_to"] if each["sold_or_shared"] is sold]


def _to_whom(recipients: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each category of information, and the categories of recipients that get it."""
    found: dict[str, set[str]] = {}
    for each in recipients:
        for category in each["categories"]:
            found.setdefault(category, set()).add(each["who"])
    return [f"{category}: {', '.join(sorted(found[category]))}" for category in sorted(found)]


def _or_not_known(told: set[str], said: bool) -> list[str] | str:
    """What is told, and that it is not all where some dataset's file does not say."""
    return sorted(told) if said else [*sorted(told), NOT_KNOWN] if told else NOT_KNOWN


def _sold_purposes(dataset: Mapping[str, Any]) -> set[str]:
    return {purpose["purpose"] for purpose in dataset["purposes"] if purpose["sold_or_shared"]}
