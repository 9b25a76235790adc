"""Plans that were built before, given again.

Claim: what `plan` gives is what `build` would make.
Argument: `build` is a function of the analysis, the parameters, and what the public tables of one data version hold. An
analysis is frozen and known here by being the very same object. Parameters are the same if their canonical JSON is. A
data version's id is random and never used twice, and its file is never written again. Nothing in a plan depends on a
personal row, so neither does whether it is found here.
"""

from __future__ import annotations

import json
import threading

from dpstats.catalog.parameters import BoundParameters
from dpstats.plan.analysis import Analysis
from dpstats.plan.build import PublicValues, build
from dpstats.plan.caps import PublicCount
from dpstats.plan.plan import Plan

MOST_PLANS = 256
MOST_GROUPS = 1000
"""Of a plan that is kept: a larger one takes room, and so long to answer that building it is the least of it."""

_Key = tuple[int, str, str]


class Planned:
    """The plans of one process. Thread-safe; those asked for longest ago are forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[_Key, tuple[Analysis, Plan]] = {}

    def plan(
        self,
        analysis: Analysis,
        parameters: BoundParameters,
        data_version: str,
        public_values: PublicValues,
        public_count: PublicCount,
    ) -> Plan:
        """The plan of a query for these parameters on a data version; empty: on none. See `build`.

        Raises:
          QueryRefused: as `build`.
        """
        key = (id(analysis), json.dumps(parameters.canonical, sort_keys=True), data_version)
        found = self._found(key, analysis)
        if found is not None:
            return found
        made = build(analysis, parameters, public_values, public_count)
        if made.groups <= MOST_GROUPS:
            self._keep(key, analysis, made)
        return made

    def _found(self, key: _Key, analysis: Analysis) -> Plan | None:
        with self._lock:
            kept = self._plans.pop(key, None)
            if kept is None or kept[0] is not analysis:  # an id may be another object's by now
                return None
            self._plans[key] = kept
            return kept[1]

    def _keep(self, key: _Key, analysis: Analysis, plan: Plan) -> None:
        with self._lock:
            self._plans[key] = (analysis, plan)
            if len(self._plans) > MOST_PLANS:
                del self._plans[next(iter(self._plans))]
