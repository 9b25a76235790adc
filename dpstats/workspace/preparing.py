"""Approved queries made ready: what bounding decides of them is kept beside the data, before anybody asks.

What may be kept, and why answers are the same with it, is in `plan/at_rest.py`. It is made for the current data version
alone, while no load, erasure or epoch replaces that; it goes with its data version; and what no approved query needs
any more is removed, so that no copy of anybody's cells outlives its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.at_rest import Kept, file_of, files_of, is_kept, keep
from dpstats.engine.locked import Limits
from dpstats.engine.whole import remove_leftovers
from dpstats.errors import DpstatsError, NotLoaded
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library
from dpstats.plan.plan import Plan
from dpstats.release import Road
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.review import defaults_of

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Prepared:
    """What is kept for an approved query. `key` None: nothing can be, and `why`. `made` None: it was there."""

    query: str
    key: str | None
    made: Kept | None = None
    why: str = ""


class Preparing:
    """Keeps bounded data at rest for the approved queries of a workspace. `key`: the workspace's secret."""

    def __init__(self, library: Library, road: Road, datasets: Datasets, key: bytes, limits: Limits) -> None:
        self._library, self._road, self._datasets = library, road, datasets
        self._key, self._limits = key, limits

    def prepare(
        self,
        identity: Identity,
        name: str,
        progress: Progress | None = None,
        ended: Callable[[], bool] = lambda: False,
    ) -> tuple[Prepared, ...]:
        """Keeps what can be kept for a dataset's approved queries, and removes what none of them needs.

        Args:
          progress: called with the query that is next and the fraction done, 0 to 1.
          ended: whether to make no more.

        Returns:
          A line for each approved query, in the order of their names. Two that need the same share it.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. NotLoaded: it has no data.
          FileError: there is no room for it; what was made before stays.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        with self._datasets.current_file(dataset) as file:
            if file is None:
                raise NotLoaded(name)
            plans = list(self._plans(identity, dataset))
            done, wanted = [], {file}
            for place, (query, plan, why) in enumerate(plans):
                if plan is None or plan.at_rest is None:
                    done.append(Prepared(query, None, why=why))
                    continue
                if progress is not None:
                    progress(query, place / len(plans))
                there = ended() or is_kept(file, plan.at_rest, key=self._key)
                made = None if there else keep(file, plan, key=self._key, limits=self._limits)
                done.append(Prepared(query, plan.at_rest.key, made))
                wanted.add(file_of(file, plan.at_rest))
            for path in set(files_of(file)) - wanted:
                path.unlink(missing_ok=True)
            remove_leftovers(file.parent)
        return tuple(done)

    def state(self, identity: Identity, name: str) -> str:
        """What `prepare` goes by, as a text: another one when there may be something to do; "" if nothing is loaded."""
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        version = self._datasets.current_version(dataset)
        if version is None:
            return ""
        return " ".join([version, *(known.version for known in self._approved(identity, dataset))])

    def _approved(self, identity: Identity, dataset: DatasetFile) -> Iterator[Known]:
        known = (each for each in self._library.all(identity) if each.record.dataset == dataset.dataset)
        return (each for each in known if each.approved and each.analysis is not None)

    def _plans(self, identity: Identity, dataset: DatasetFile) -> Iterator[tuple[str, Plan | None, str]]:
        """Of each approved query its name and a plan, whatever its parameters; or why nothing can be kept for it."""
        if dataset.engine is not None:
            yield from ((known.record.name, None, ON_SPARK) for known in self._approved(identity, dataset))
            return
        with self._road.data(dataset) as (version, engine):
            for known in self._approved(identity, dataset):
                if known.analysis is None:
                    continue
                try:
                    plan = self._road.plan_on(version, engine, known.analysis, defaults_of(known.analysis))
                except DpstatsError as error:
                    yield known.record.name, None, str(error)
                    continue
                yield known.record.name, plan, "" if plan.at_rest else NOT_ROWS_ALONE


ON_SPARK = "it is answered on Spark, which reads the data as they are"
NOT_ROWS_ALONE = "a parameter decides more than which rows count, or what is asked is no total"
