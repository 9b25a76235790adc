"""For whom a deployment holds the data: for itself, or for the businesses that they are from. Pure.

A service provider uses data for its contract's specific purpose alone, never for advertising across contexts or sale,
and does not bring the data of two businesses together (1798.140(e)(6), (ag); 11 CCR 7050(a), (b), 7051).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.purposes import SALE_OR_SHARING, kind_of

ActsAs = Literal["business", "service_provider"]


def provider_problems(dataset: DatasetFile, same_people: Iterable[DatasetFile] = ()) -> Iterator[str]:
    """Why a service provider may not hold a dataset; nothing if it may.

    Args:
      same_people: the other datasets of its lineage, which share a budget and the ids of people.
    """
    if not dataset.controller:
        yield "a service provider's dataset names its `controller`, the business that the data are from"
    if not dataset.contract:
        yield "a service provider's dataset says in `contract` what specific purpose the business's contract is for"
    for name, purpose in dataset.purposes.items():
        if kind_of(name, purpose) in SALE_OR_SHARING:
            yield (
                f"the purpose {name} is sale or advertising across contexts, which no service provider may do: remove "
                "it, or give it the `kind` that it is"
            )
    others = sorted({each.controller for each in same_people} - {dataset.controller})
    if others:
        yield f"its lineage holds data of {', '.join(others) or 'another business'}: a lineage is one controller's"


def told_to_consumers(controllers: Iterable[str], contact: str) -> str:
    """What a service provider answers to somebody who asks it directly (11 CCR 7050(c))."""
    whom = ", ".join(sorted({name for name in controllers if name})) or "the business that you gave them to"
    ask = f"Ask {whom}" + (f"; who that is, we tell you at {contact}" if contact else "")
    return f"We hold these data as a service provider for {whom}, so this request cannot be acted upon here. {ask}."
