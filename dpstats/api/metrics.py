"""What `/metrics` shows, in Prometheus' text: how the service does, and how much budget is left.

It needs no token, so it holds nothing that depends on a person's row, no parameter and no name that was asked for:
routes as they are written, slugs of problems, and datasets with their charges and budgets, which come from the ledger.
Requests for rights, consent and opting out are in no number of it: neither counted nor timed, refused or not.
Times are rounded up to the bounds below, so that scraping around a request does not tell its exact duration.

Several workers count in files of a folder that they share, and any of them shows the sums.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dpstats.api.outcome import Outcome
from dpstats.errors import DpstatsError
from dpstats.ledger.counting import ChargeCounts
from dpstats.workspace import Workspace

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DURATION_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
OTHER = "other"
"""Stands for every method that is none and every address without a route: a caller cannot make labels."""

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def rounded_up_s(seconds: float) -> float:
    """A duration as it is shown: the next bound, beyond the last one the next full minute."""
    return next((bound for bound in DURATION_BOUNDS_S if seconds <= bound), math.ceil(seconds / 60) * 60.0)


class Metrics:
    """The counters of one process, and the text of all.

    Args:
      folder: where the workers of one service count together; None where one process serves alone.
    """

    def __init__(self, workspace: Workspace, folder: Path | None = None) -> None:
        if folder is not None:
            # The library asks the environment, once, when it is first imported: not before now, in a worker.
            os.environ[_FOLDER] = str(folder)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._folder, self._budgets = folder, _Budgets(workspace)
        self._labelled: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._own = own = CollectorRegistry(auto_describe=False)
        self._requests = Counter("dpstats_requests", "Requests answered.", ("method", "route", "status"), registry=own)
        self._refusals = Counter("dpstats_refusals", "Requests refused or failed, by problem.", ("slug",), registry=own)
        self._durations = Histogram(
            "dpstats_request_duration_seconds",
            "Time to answer, rounded up to the bounds.",
            ("method", "route"),
            buckets=DURATION_BOUNDS_S,
            registry=own,
        )
        self._in_flight = Gauge(
            "dpstats_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum", registry=own
        )

    def begin(self) -> None:
        """A request came. What cannot be counted (a full disk) is answered all the same."""
        with suppress(OSError):
            self._in_flight.inc()

    def end(self, outcome: Outcome) -> None:
        """It was answered."""
        method, route = (outcome.method, outcome.route) if outcome.route else (OTHER, OTHER)
        method = method if method in METHODS else OTHER
        with suppress(OSError):
            self._in_flight.dec()
            requests, durations = self._of(method, route, outcome.status)
            requests.inc()
            durations.observe(rounded_up_s(outcome.seconds))
            if outcome.problem:
                self._refusals.labels(outcome.problem).inc()

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """The counters of these labels, looked up once: there are no more of them than routes, methods and statuses."""
        asked = (method, route, status)
        if asked not in self._labelled:
            requests = self._requests.labels(method, route, str(status))
            self._labelled[asked] = (requests, self._durations.labels(method, route))
        return self._labelled[asked]

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._counted()) + generate_latest(self._budgets)

    def _counted(self) -> CollectorRegistry:
        if self._folder is None:
            return self._own
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        forget_dead(self._folder)
        registry = CollectorRegistry(auto_describe=False)
        MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        return registry


class _Budgets:
    """Charges and budgets of every dataset, read from the ledger at each scrape."""

    def __init__(self, workspace: Workspace) -> None:
        self._registry, self._ledger = workspace.store.registry, workspace.store.ledger
        self._charges = ChargeCounts(workspace.store.engine)
        self._clocks = workspace.notifying.clocks

    def collect(self) -> Iterator[Metric]:
        """The metrics; what cannot be read is missing, and `dpstats_ledger_readable` says so."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        charges = CounterMetricFamily("dpstats_charges", "Charges in the ledger.", labels=("dataset",))
        gauges = {
            name: GaugeMetricFamily(f"dpstats_budget_{name}", told, labels=("dataset",))
            for name, told in (
                ("remaining_rho", "Budget that is left, as rho (zCDP)."),
                ("remaining_epsilon", "Budget that is left, as epsilon, of datasets with pure DP."),
                ("remaining_delta", "Delta that is left for private keys."),
                ("remaining_ratio", "Share of the rho or epsilon that is left, from 0 to 1."),
            )
        }
        readable = 1
        with suppress(DpstatsError):
            clocks = self._clocks()
            told = "Whether some rights request is past one of its dates (1) or none is (0)."
            yield GaugeMetricFamily("dpstats_rights_overdue", told, value=int(clocks.overdue))
            told = "Whether some rights request is near one of its dates, or past it (1), or none is (0)."
            yield GaugeMetricFamily("dpstats_rights_due", told, value=int(clocks.near))
        try:
            for dataset in self._registry.datasets():
                state = self._ledger.budget(dataset.lineage)
                charges.add_metric((dataset.name,), self._charges.of(dataset.lineage))
                left = state.remaining
                gauges[f"remaining_{left.measure.unit}"].add_metric((dataset.name,), float(left.amount_decimal))
                gauges["remaining_delta"].add_metric((dataset.name,), float(left.delta_decimal))
                gauges["remaining_ratio"].add_metric((dataset.name,), left.amount / max(1, state.cap.amount))
        except DpstatsError:
            readable = 0
        yield charges
        yield from gauges.values()
        yield GaugeMetricFamily("dpstats_ledger_readable", "Whether the ledger could be read just now.", value=readable)


def forget_dead(folder: Path) -> None:
    """Takes out the requests in flight of workers that are gone; what they counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    for file in folder.glob("gauge_livesum_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
