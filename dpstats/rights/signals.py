"""What a browser's or an app's signal refuses. A signal never consents, and one that cannot be read says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpstats.rights.decisions import ALL_SALE_SHARE, KNOWN_MINOR, LIMIT_SPI
from dpstats.rights.gpp import said_by


@dataclass(frozen=True)
class Signal:
    """What came: the values of Sec-GPC headers, and a GPP string."""

    gpc: str | Sequence[str] = ()
    gpp: str = ""


@dataclass(frozen=True)
class Refused:
    """A refusal that a signal holds, and which one: `gpc` or `gpp`."""

    purpose: str
    source: str


def refusals(signal: Signal) -> tuple[Refused, ...]:
    """What a signal refuses, nothing if it is none.

    Source: W3C, Global Privacy Control: the signal is the value 1, and any one of several headers will do.
    """
    found = [Refused(ALL_SALE_SHARE, "gpc")] if is_gpc(signal.gpc) else []
    said = said_by(signal.gpp)
    wanted = ((ALL_SALE_SHARE, said.sale_or_sharing), (LIMIT_SPI, said.sensitive), (KNOWN_MINOR, said.known_child))
    return (*found, *(Refused(purpose, "gpp") for purpose, refused in wanted if refused))


def is_gpc(value: str | Sequence[str]) -> bool:
    """Whether these are the values of Sec-GPC headers that ask for the control: one of them is exactly 1.

    A proxy may join headers with commas, so each value is taken apart at them.
    """
    values = [value] if isinstance(value, str) else value
    return any(part.strip(" \t") == "1" for each in values for part in each.split(","))
