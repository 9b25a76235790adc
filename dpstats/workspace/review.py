"""The review of queries: check, submit, approve, revoke, and the catalog of what may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dpstats import views
from dpstats.access import ALLOWED, Action, check
from dpstats.catalog.dataset import DatasetFile, load_dataset, parse_dataset
from dpstats.catalog.fields import FileModel
from dpstats.catalog.parameters import BoundParameters, bind_parameters
from dpstats.catalog.query import DateParameter, EnumParameter, KeysFrom, load_query
from dpstats.catalog.source import load_file
from dpstats.errors import Conflict, FileError, SecondStewardNeeded
from dpstats.ledger.approvals import Wish
from dpstats.ledger.proposals import approval_draft
from dpstats.ledger.registry import QueryRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library, analysis_of, not_approved
from dpstats.plan.advice import compared, recommendations
from dpstats.plan.analysis import Analysis, analyse
from dpstats.plan.answer import measures
from dpstats.plan.consequences import consequences
from dpstats.plan.expressions import Parameter
from dpstats.plan.plan import Plan
from dpstats.privacy.loss import amount_up
from dpstats.release import Road
from dpstats.workspace.dataset_terms import beyond
from dpstats.workspace.earlier import earlier_releases


@dataclass(frozen=True)
class Check:
    """What `query check` finds: the analysis, its plan where key values are at hand, and warnings.

    With a plan: it at other costs, what its bounds do beyond the noise, and what could be changed.
    """

    analysis: Analysis
    plan: Plan | None
    epsilon: Decimal | None
    warnings: tuple[str, ...]
    costs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


class Review:
    """The queries of a workspace and their approvals."""

    def __init__(self, store: Store, library: Library, road: Road) -> None:
        self._store, self._registry, self._library, self._road = store, store.registry, library, road

    def check_file(self, file: Path) -> Check:
        """Whether a query's file can be answered, against the registered dataset, else the dataset.yaml beside it.

        Raises:
          FileError, QueryRefused: every reason why not.
        """
        query = load_query(file)
        if self._registry_has(query.dataset):
            definition = self._registry.dataset(query.dataset).definition
            dataset = parse_dataset(definition, query.dataset)
        else:
            dataset = load_dataset(file.parent / "dataset.yaml")
            if dataset.dataset != query.dataset:
                what = f"there is no dataset {query.dataset}, and the dataset.yaml beside it is of {dataset.dataset}"
                raise FileError(str(file), what, key="dataset")
        return self.check_analysis(analyse(query, dataset))

    def check_analysis(self, analysis: Analysis) -> Check:
        """What a check finds of a query that can be answered.

        Raises:
          NotLoaded, QueryRefused: as `plan_of_defaults`.
        """
        plan = self.plan_of_defaults(analysis)
        found = Check(analysis, plan, _alone(plan, analysis.dataset), analysis.warnings)
        return found if plan is None else self._advised(found, plan)

    def _advised(self, found: Check, plan: Plan) -> Check:
        analysis, dataset = found.analysis, plan.dataset
        before = earlier_releases(self._store, self._library, dataset) if self._registry_has(dataset) else ()
        return replace(
            found,
            warnings=(*found.warnings, *beyond(analysis.dataset, plan.loss)),
            costs=tuple(views.costs(analysis, plan)),
            notes=(*consequences(analysis, plan), *compared(plan, measures(plan), before)),
            advice=recommendations(analysis, plan, before),
        )

    def plan_of_defaults(self, analysis: Analysis) -> Plan | None:
        """The plan with default parameters; None where keys come from a table of a dataset that is not registered.

        Raises:
          NotLoaded: keys come from a table that is not loaded as defined. QueryRefused: it cannot be answered.
        """
        from_table = any(isinstance(key.source, KeysFrom) for key in analysis.keys)
        if from_table and not self._registry_has(analysis.dataset.dataset):
            return None
        known = Known(_no_record(analysis), analysis.query, analysis.dataset, analysis.version, False, analysis)
        return self._road.plan(known, analysis, defaults_of(analysis))

    def _registry_has(self, dataset: str) -> bool:
        return any(record.name == dataset for record in self._registry.datasets())

    def submit(self, identity: Identity, file: Path) -> tuple[str, str]:
        """Submits a query's file for review; gives its name and version. It answers nothing until it is approved.

        Raises:
          FileError, QueryRefused: it cannot be answered. NotFound: its dataset is not registered.
        """
        check(identity, Action.STEWARD)
        text = load_file(file)
        query = load_query(file)
        definition = self._registry.dataset(query.dataset).definition
        analysis = analysis_of(text, definition, query.query, query.dataset)
        self.plan_of_defaults(analysis)
        self._registry.submit_query(query.query, query.dataset, text, identity.name)
        return query.query, analysis.version

    def approve(
        self, identity: Identity, name: str, version: str | None = None, expires_after: timedelta | None = None
    ) -> str:
        """Approves a query's newest text; gives its version.

        Args:
          version: what the steward reviewed; refused if it is not the version that stands.
          expires_after: how long it holds; the dataset's `approvals_expire` if that is shorter, or if None.

        Raises:
          NotFound: no such query. Conflict: another version stands, or it cannot be answered any more.
          SecondStewardNeeded: policy asks for another steward, and it is proposed to them.
        """
        check(identity, Action.STEWARD)
        known = self._library.known(identity, name)
        if known.analysis is None:
            raise Conflict(
                f"query {name} cannot be answered by its dataset's present definition: `dpstats doctor` and `dpstats "
                "query check` say why"
            )
        if version is not None and version != known.version:
            raise Conflict(
                f"query {name} stands in version {known.version}, not {version}: review it with `query show`"
            )
        span = _shorter(expires_after, known.dataset.approvals_expire)
        wish = self.wish(known.analysis, known.record.revision, identity, span)
        try:
            self._registry.approve_as(wish)
        except SecondStewardNeeded as needed:
            raise self.proposed(identity, known.dataset.dataset, wish, needed) from None
        return known.version

    def wish(self, analysis: Analysis, revision: int, identity: Identity, span: timedelta | None) -> Wish:
        """An approval as a steward asks for it, with what policy goes by: its price and what it reads."""
        dataset = analysis.dataset
        alone = _alone(self.plan_of_defaults(analysis), dataset)
        sensitive = any(
            dataset.tables[table].columns[column].sensitive
            for table, names in analysis.reads.items()
            for column in names
        )
        epsilon = None if alone is None else amount_up(alone)
        return Wish(analysis.query.query, analysis.version, revision, identity.name, span, epsilon, sensitive)

    def proposed(
        self, identity: Identity, dataset: str, wish: Wish, needed: SecondStewardNeeded
    ) -> SecondStewardNeeded:
        """Puts an approval down for another steward; gives what to tell the caller."""
        proposal = self._store.proposals.propose(approval_draft(dataset, wish), identity)
        return SecondStewardNeeded(needed.what, proposal.proposal_id)

    def revoke(self, identity: Identity, name: str, version: str | None = None) -> int:
        """Ends the approvals of a query, or of one version; gives how many ended. It answers nothing then.

        Raises:
          NotFound: no such query.
        """
        check(identity, Action.STEWARD)
        self._library.known(identity, name)
        return self._registry.revoke(name, identity.name, version)

    def all(self, identity: Identity, *, approved_only: bool) -> list[dict[str, Any]]:
        """The queries that the caller may see, by name; stewards may ask for those not approved too."""
        check(identity, Action.READ)
        if not approved_only:
            check(identity, Action.STEWARD)
        return [self._view(k) for k in self._library.all(identity) if k.approved or not approved_only]

    def one(self, identity: Identity, name: str) -> dict[str, Any]:
        """One query: what it counts, its parameters, keys, bounds and price.

        Raises:
          NotApproved: it is not approved, and the caller is no steward.
        """
        check(identity, Action.READ)
        known = self._library.known(identity, name)
        if not known.approved and Action.STEWARD not in ALLOWED[identity.role]:
            raise not_approved(known)
        return self._view(known)

    def _view(self, known: Known) -> dict[str, Any]:
        query, analysis = known.query, known.analysis
        return {
            "query": query.query,
            "dataset": query.dataset,
            "title": query.title,
            "description": query.description,
            "tags": list(query.tags),
            "purpose": query.purpose,
            "query_version": known.version,
            "approved": known.approved,
            "cadence": query.cadence,
            "approvals": [
                {
                    "version": item.version,
                    "approved_by": item.approved_by,
                    "approved_at": item.approved_at.isoformat(),
                    "confirmed_by": item.confirmed_by,
                    "revoked_at": item.revoked_at.isoformat() if item.revoked_at else None,
                    "expires_at": item.expires_at.isoformat() if item.expires_at else None,
                }
                for item in self._registry.approvals(query.query)
            ],
            "parameters": {name: _json(dict(spec)) for name, spec in query.parameters.items()},
            "keys": [key.name for key in analysis.keys] if analysis else [],
            "measures": [output.name for output in analysis.outputs] if analysis else [],
            "bounds": {name: [float(end) for end in ends] for name, ends in query.bounds.items()},
            "why": dict(query.why),
            "cost": _json(dict(query.cost)),
            "sql": query.sql,
        }


def _shorter(asked: timedelta | None, policy: timedelta | None) -> timedelta | None:
    spans = [span for span in (asked, policy) if span is not None]
    return min(spans) if spans else None


def _alone(plan: Plan | None, dataset: DatasetFile) -> Decimal | None:
    if plan is None:
        return None
    return Decimal(str(views.cost(plan.loss, dataset.conversion_delta)["epsilon"]))


def defaults_of(analysis: Analysis) -> BoundParameters:
    """A query's default parameters, and some value for each without one."""
    wanted = {name: spec for name, spec in analysis.query.parameters.items() if spec.default is None}
    return bind_parameters(analysis.query, {name: _some_value(name, spec) for name, spec in wanted.items()})


def _some_value(name: str, spec: Parameter) -> object:
    """A valid value of a parameter without default; a span's end is its latest, so that it ends after it starts."""
    if isinstance(spec, EnumParameter):
        return spec.values[0]
    if isinstance(spec, DateParameter):
        return (spec.max if name == "until" else spec.min).isoformat()
    return spec.min


def _json(value: object) -> Any:
    """A part of a query's file as JSON. Not pydantic's own writing, which warns about frozen mappings."""
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, FileModel):
        return {name: _json(item) for name, item in value if item is not None}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _no_record(analysis: Analysis) -> QueryRecord:
    return QueryRecord(analysis.query.query, analysis.dataset.dataset, "", datetime.now(UTC), 0, "")
