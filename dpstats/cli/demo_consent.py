"""The demo's consent: made up by a fixed rule, and what its change at the next epoch does to a query's population."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dpstats.cli.output import say, tell
from dpstats.cli.session import working

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.workspace import Workspace

DATASET, QUERY, PURPOSE = "complete_journey", "segments_by_age", "personalization"
HOUSEHOLDS = range(1, 2501)
"""The numbers of the households in the published guide to the data."""
FIRST, LATER = "demo-consent.csv", "demo-consent-later.csv"


def show_consent(workspace: Workspace, me: Identity) -> None:
    """Shows once how a personalization query follows consent; later, closes an epoch if one is due."""
    if workspace.releases.all(me, query=QUERY)["items"]:
        workspace.epochs.close_if_due(me, datetime.now(UTC))
        return
    tell(
        f"Consent in this demo is made up: no household was asked for {PURPOSE} when these data were collected. A "
        f"fixed rule by household number says who said yes ({FIRST}), and which half of them takes it back ({LATER})."
    )
    before = _epoch(workspace, me, FIRST, _said_yes())
    after = _epoch(workspace, me, LATER, _took_it_back())
    say(f"Households that {QUERY} counts: {before} at the first consent epoch, {after} at the next.")
    say()


def _said_yes() -> Iterator[str]:
    """Six in ten."""
    return (f"{n},{PURPOSE},opt_in,2017-01-01T00:00:00Z" for n in HOUSEHOLDS if n * 7 % 10 < 6)


def _took_it_back() -> Iterator[str]:
    """Half of those."""
    return (f"{n},{PURPOSE},withdraw,2018-01-02T00:00:00Z" for n in HOUSEHOLDS if n * 7 % 10 < 3)


def _epoch(workspace: Workspace, me: Identity, name: str, rows: Iterator[str]) -> str:
    """Takes decisions in, closes the epoch, and says how many households are counted then, as a new release tells."""
    from dpstats.release import Ask

    file = Path(workspace.home) / name
    file.write_text("\n".join(["unit,purpose,decision,observed_at", *rows]) + "\n", encoding="utf-8")
    with working("closing a consent epoch"):
        workspace.consent.import_file(me, DATASET, file)
        workspace.epochs.close(me)
        release, _ = workspace.releases.make(Ask(me, QUERY, {}, fresh=True))
    counts = [row["households"] for row in release["rows"]]
    value = sum(count["value"] for count in counts)
    error = math.sqrt(len(counts)) * release["measures"]["households"]["half_width_95"]
    return f"about {max(0, round(value, -1)):,} (±{math.ceil(error):,})"
