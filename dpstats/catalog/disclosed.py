"""Where data come from, who gets them, and who answers for them: what notices, requests to know and assessments tell.

Written by a steward; no plan depends on it, so that saying it makes no new version of a query.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from dpstats.catalog.fields import FileModel, Items, Line, Name
from dpstats.catalog.purposes import Category

RecipientKind = Literal["service_provider", "contractor", "third_party"]
"""What the statute calls whoever gets personal information: 1798.140(ag), (j), (ai)."""
RECIPIENT_WORDS: dict[RecipientKind, str] = {
    "service_provider": "a service provider",
    "contractor": "a contractor",
    "third_party": "a third party",
}


def _said(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


Said = Annotated[Line, AfterValidator(_said)]


class Disclosure(FileModel):
    """One category of recipients that get something of these data.

    `who`: what they are, as the notice tells it (advertising networks, hosting providers). `categories`: the statute's
    categories of what they get, every one that is held where none is named. `purposes`: what for, of the dataset's.
    """

    who: Said
    kind: RecipientKind
    categories: Items[Category] = ()
    purposes: Items[Name]
