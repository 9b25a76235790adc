"""Which noise approved queries will ask for, so that it can be drawn before they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from dpstats.engine.ahead import Kind, wanted
from dpstats.errors import DpstatsError
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.release import Road
from dpstats.workspace.review import defaults_of


class Drawing:
    """Looks at the plans of approved queries, which know no personal row."""

    def __init__(self, library: Library, road: Road) -> None:
        self._library, self._road = library, road

    def wanted(self, identity: Identity, seen: set[str]) -> Iterator[dict[Kind, int]]:
        """What one release takes of each approved query that is not `seen`, whatever its parameters.

        Args:
          seen: versions of queries; those that are looked at are added. What cannot be planned now (it has keys from a
            table, and nothing is loaded) is looked at again the next time. Those on Spark wait until they are asked.
        """
        for known in self._library.all(identity):
            if not known.approved or known.analysis is None or known.version in seen:
                continue
            if known.dataset.engine is not None:  # a plan may look at the data: a Spark is not started for that
                continue
            with suppress(DpstatsError):
                plan = self._road.plan(known, known.analysis, defaults_of(known.analysis))
                seen.add(known.version)
                yield wanted(plan)
