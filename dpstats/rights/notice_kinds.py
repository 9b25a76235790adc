"""The notice at collection and the privacy policy's part, made from the notice: what each must say, and no more.

Each has a version of its own, so that either can be checked. What the files do not know is told as not known, by name,
so that the business fills it in. Pure.

Source: notice at collection: 1798.100(a), 11 CCR 7012(e). Policy: 1798.130(a)(5), 11 CCR 7011(e).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dpstats.rights.notice import version_of

COLLECTION, POLICY = "collection", "policy"
NOT_KNOWN = "Not known from the files: the business must say it."
_AT_COLLECTION = ("business", "contact", "datasets", "signals", "footer")


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
    return {
        "7011(e)(1)(A) categories collected": sorted({c["category"] for d in datasets for c in d["categories"]}),
        "7011(e)(1)(B) sources": NOT_KNOWN,
        "7011(e)(1)(C) purposes of collecting": sorted({p["title"] for d in datasets for p in d["purposes"]}),
        "7011(e)(1)(D) categories sold or shared": sold,
        "7011(e)(1)(E) to whom each is sold or shared": NOT_KNOWN if sold else [],
        "7011(e)(1)(F) purposes of selling or sharing": sorted(
            {p["title"] for d in datasets for p in d["purposes"] if p["sold_or_shared"]}
        ),
        "7011(e)(1)(G) knowledge of selling data of people under 16": (
            "People who are known to be under 16 are counted for sale and sharing only where they said yes."
        ),
        "7011(e)(1)(H) categories disclosed for a business purpose": NOT_KNOWN,
        "7011(e)(1)(I) to whom each is disclosed": NOT_KNOWN,
        "7011(e)(1)(J) purposes of disclosing": NOT_KNOWN,
        "7011(e)(1)(K) sensitive categories used": sensitive,
        "7011(e)(2) rights": [right["says"] for right in notice["rights"]],
        "7011(e)(3)(F) opt-out preference signals": notice["signals"],
        "7011(e)(3) how to ask": notice["contact"] or NOT_KNOWN,
    }


def _sold_purposes(dataset: Mapping[str, Any]) -> set[str]:
    return {purpose["purpose"] for purpose in dataset["purposes"] if purpose["sold_or_shared"]}
