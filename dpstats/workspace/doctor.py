"""The doctor: everything about a workspace that is overdue or unsafe, a line for each. It changes nothing.

It looks at the ledger, the machine, the folder, the datasets, the queries and the tokens; at no row.
"""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from dpstats.access import Action, check, operator
from dpstats.catalog.consented import asked_purposes, consent_rules
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.at_rest import files_of
from dpstats.engine.spark.export import folder_of
from dpstats.errors import Conflict, DpstatsError, Unavailable
from dpstats.ledger.database import faults_explained
from dpstats.ledger.proposals import Outcome
from dpstats.ledger.records import BudgetState
from dpstats.ledger.registry import DataVersionRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, State
from dpstats.library import Known, Library
from dpstats.release import Road
from dpstats.settings import unread_variables
from dpstats.workspace.behind import Behind
from dpstats.workspace.disk_encryption import seen_below
from dpstats.workspace.epochs import Epochs
from dpstats.workspace.notifying import Notifying
from dpstats.workspace.publishing import Publishing
from dpstats.workspace.retaining import Retaining
from dpstats.workspace.rights import Rights
from dpstats.workspace.selftest import failed_checks
from dpstats.workspace.tokens import TokenDesk

NEARLY_EXHAUSTED = 10
"""Percent of a budget below which it is nearly exhausted."""
OLD_TOKEN = timedelta(days=90)
"""Age at which the secret of a token that never expires is overdue for a new one."""
UNUSED_TOKEN = timedelta(days=90)
"""For how long nobody used a token that is a line."""
LOST_LINES = timedelta(days=30)
"""For how long lines of the log that were let go are one."""
DECIDE_WITHIN = timedelta(days=3)
"""How long before its end a proposal that nobody decided is a line."""
LEFT_BEHIND_S = 3600
"""Age from which a file that nothing refers to was left behind: a load that still runs writes to its own."""

_BESIDE = re.compile(r"\..+\.[0-9a-f]{16}")  # as `files.create_durably` names what it has not yet put in its place


@dataclass(frozen=True)
class Finding:
    """Something overdue or unsafe: what it is about (`ledger`, `folder`, `dataset shop`), and a line that says it."""

    about: str
    what: str


class Doctor:
    """Looks a workspace over."""

    def __init__(
        self,
        home: Path,
        store: Store,
        library: Library,
        road: Road,
        rights: Rights,
        epochs: Epochs,
        retaining: Retaining,
        behind: Behind,
        notifying: Notifying,
        publishing: Publishing,
    ) -> None:
        self._home, self._store, self._library, self._road = home, store, library, road
        self._rights, self._epochs, self._retaining = rights, epochs, retaining
        self._behind, self._notifying, self._publishing = behind, notifying, publishing
        self._tokens = TokenDesk(store, library)

    @property
    def disk_encryption(self) -> str:
        """What is seen of the encryption of the disk below the workspace; that nothing is seen is no finding."""
        return seen_below(self._home)

    def findings(self, identity: Identity) -> tuple[Finding, ...]:
        """Everything found; none if all is well.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        found: list[Finding] = []
        for about, look in (
            ("machine", self._machine),
            ("settings", self._settings),
            ("ledger", self._ledger),
            ("folder", self._folder),
            ("folder", self._left_behind),
            ("datasets", self._datasets),
            ("queries", self._queries),
            ("tokens", self._old_tokens),
            ("tokens", self._unused_tokens),
            ("tokens", self._token_caps),
            ("proposals", self._proposals),
            ("rights", self._requests),
            ("rights", self._request_log),
            ("log", self._lost_lines),
        ):
            found += _explained(about, look)
        return tuple(dict.fromkeys(found))

    def _machine(self) -> Iterator[Finding]:
        for name in failed_checks(self._store):
            yield Finding("machine", f"the self-test fails ({name}): nothing is served here until it holds")

    def _settings(self) -> Iterator[Finding]:
        for line in unread_variables():
            yield Finding("settings", line)

    def _ledger(self) -> Iterator[Finding]:
        for finding in self._store.verify().findings:
            yield Finding("ledger", f"it does not verify: {finding}")

    def _folder(self) -> Iterator[Finding]:
        if _shared(self._home):
            yield Finding("folder", f"{self._home} can be entered by others than its owner: chmod 700 it")
        for name in ("ledger.key", "bounding.key", "consent.key"):
            key = self._home / name
            if key.exists() and _shared(key):
                yield Finding("folder", f"{key} can be read by others than its owner: chmod 600 it")

    def _left_behind(self) -> Iterator[Finding]:
        current = [self._home / "data" / version.file for version in self._current_versions()]
        known = {path for file in current for path in (*files_of(file), *folder_of(file).glob("*"))}
        copies = [file for file in (self._home / "data").rglob("*") if file.is_file() and not _belongs(file, known)]
        beside = [file for file in self._home.rglob(".*") if _BESIDE.fullmatch(file.name) and file not in copies]
        for file in sorted(copies + beside):
            if _age_s(file) > LEFT_BEHIND_S:
                yield Finding("folder", f"{file} was left behind, and may hold people's rows or a key: remove it")

    def _requests(self) -> Iterator[Finding]:
        for clock in self._rights.due():
            when = f"was due on {clock['due']}" if clock["overdue"] else f"is due on {clock['due']}"
            yield Finding("rights", f"request {clock['id']}: to {clock['what']} {when} (Los Angeles)")
        for line in self._notifying.stuck():
            yield Finding("webhook", line)
        overdue = self._publishing.overdue_notice(datetime.now(UTC))
        if overdue:
            yield Finding("notice", f"{overdue} (`dpstats notice build`)")

    def _request_log(self) -> Iterator[Finding]:
        if not self._rights.log_verifies():
            what = "the log of requests does not verify: a step was changed, removed or inserted"
            yield Finding("rights", f"{what}; a backup (`FILE.consent`) has it as it was")

    def _datasets(self) -> Iterator[Finding]:
        for dataset in self._library.datasets(operator("doctor")):
            about = f"dataset {dataset.dataset}"
            looks = (
                self._acting,
                self._data,
                self._in_place,
                self._budget,
                self._caps,
                self._frozen,
                self._consent,
                self._retention,
                self._erased,
            )
            for look in looks:
                yield from _explained(about, partial(look, about, dataset))

    def _acting(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        try:
            self._library.check_held(dataset)
        except Conflict as error:
            yield Finding(about, f"nothing of it is answered: {str(error).removeprefix(f'{about}: ')}")

    def _data(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        with suppress(Unavailable), self._road.data(dataset):  # what is behind an erasure is told once, below
            yield from ()

    def _in_place(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        if not dataset.tables_in_place:
            return
        with suppress(Unavailable), self._road.data(dataset) as (_, engine):
            for table in engine.changed(list(dataset.tables_in_place)):
                what = f"the files of table {table}, which is read in place, were changed since it was loaded, or hang"
                load = f"`dpstats dataset load {dataset.dataset} --source {table}=FOLDER`"
                yield Finding(about, f"{what}, so nothing is answered from it: {load}")

    def _budget(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        left = _percent_left(self._store.ledger.budget(dataset.lineage))
        grant = f"`dpstats budget grant {dataset.dataset}` is a steward's decision"
        if left <= 0:
            yield Finding(about, f"its budget is exhausted: {grant}")
        elif left < NEARLY_EXHAUSTED:
            yield Finding(about, f"less than {NEARLY_EXHAUSTED} % of its budget is left: {grant}")

    def _caps(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        raising = f"`dpstats budget cap {dataset.dataset}` is a steward's decision"
        for state in self._store.caps.of(dataset.lineage):
            if _nearly_used(state.amount, state.spent):
                share = state.cap.share
                what = f"less than {NEARLY_EXHAUSTED} % of the cap of {share.scope} {share.name} is left"
                yield Finding(about, f"{what}: {raising}")

    def _frozen(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        freezes = self._store.registry.freezes(dataset.dataset)
        if freezes and freezes[-1].frozen:
            since = f"{freezes[-1].at:%Y-%m-%d}"
            thaw = f"`dpstats budget thaw {dataset.dataset}` ends that"
            yield Finding(about, f"it is frozen since {since}, by {freezes[-1].actor}, and answers nothing: {thaw}")

    def _consent(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        """One line also where what is past its retention was not looked for either: one command mends both."""
        why = self._consent_is_old(dataset)
        if why:
            close = "`dpstats consent epoch` closes one"
            if self._retaining.overdue(dataset, datetime.now(UTC)):
                close += ", and erases what is past its retention, which was not looked for either"
            purposes = ", ".join(asked_purposes(dataset))
            yield Finding(about, f"{why}, so it answers nothing for {purposes}: {close}")

    def _consent_is_old(self, dataset: DatasetFile) -> str:
        """Why a dataset answers nothing for the purposes that ask for consent; empty if it does, or none asks."""
        if not asked_purposes(dataset):
            return ""
        try:
            with self._road.data(dataset) as (_, engine):
                known = engine.consent
        except Unavailable:
            return ""
        if known is None or known.rules != consent_rules(dataset):
            return "no consent epoch was closed for its data"
        if datetime.now(UTC) - known.closed_at > self._epochs.timetable.max_age:
            return f"the consent epoch of its data was closed on {known.closed_at:%Y-%m-%d %H:%M} UTC"
        return ""

    def _erased(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        if self._behind.is_behind(dataset):
            what = (
                "its data are older than an erasure: `dpstats rights list`, and execute what is executing; or load them"
            )
            yield Finding(about, what)

    def _retention(self, about: str, dataset: DatasetFile) -> Iterator[Finding]:
        if self._retaining.overdue(dataset, datetime.now(UTC)) and not self._consent_is_old(dataset):
            what = "what is past its retention was not looked for since its data were made: `dpstats retention sweep`"
            yield Finding(about, what)

    def _queries(self) -> Iterator[Finding]:
        for known in self._library.all(operator("doctor")):
            yield from _explained(f"query {known.record.name}", partial(self._query, known))

    def _query(self, known: Known) -> Iterator[Finding]:
        name, approvals = known.record.name, self._store.registry.approvals(known.record.name)
        about = f"query {name}"
        if known.analysis is None:
            if not approvals or approvals[-1].revoked_at is None:
                what = f"the present definition of dataset {known.record.dataset} does not answer it"
                yield Finding(about, f"{what}: submit it anew, or `dpstats query revoke {name}`")
            return
        judged = {(approval.version, approval.revision) for approval in approvals}
        if not known.approved and (known.version, known.record.revision) not in judged:
            since = f"{known.record.submitted_at:%Y-%m-%d}"
            review = f"`dpstats query show {name}`, then `approve` or `revoke`"
            yield Finding(about, f"it waits for approval since {since}, as it stands now: {review}")

    def _old_tokens(self) -> Iterator[Finding]:
        for item in self._tokens.all(operator("doctor")):
            made = datetime.fromisoformat(item.get("rotated_at") or item["created_at"])
            ends = item["revoked_at"] or item.get("expires_at")
            if not ends and datetime.now(UTC) - made > OLD_TOKEN:
                what = f"it never expires, and its secret is of {made:%Y-%m-%d}, more than {OLD_TOKEN.days} days old"
                yield Finding(f"token {item['name']}", f"{what}: revoke it, and make a new one if it is in use")

    def _unused_tokens(self) -> Iterator[Finding]:
        now, began = datetime.now(UTC), self._store.asked.began()
        for item in self._tokens.all(operator("doctor")):
            made = datetime.fromisoformat(item.get("rotated_at") or item["created_at"])
            if item["state"] != State.LIVE or now - max(made, began or now) <= UNUSED_TOKEN:
                continue  # or it may have been used before there was a log
            used = item["last_used"]
            if used is None or now.date() - date.fromisoformat(used) > UNUSED_TOKEN:
                what = f"nobody used it for {UNUSED_TOKEN.days} days"
                yield Finding(
                    f"token {item['name']}", f"{what}: `dpstats token revoke {item['name']}`, if nobody needs it"
                )

    def _lost_lines(self) -> Iterator[Finding]:
        lost = self._store.asked.lost(datetime.now(UTC) - LOST_LINES)
        if lost:
            what = f"{lost} lines of who asked what were let go within {LOST_LINES.days} days"
            yield Finding("log", f"{what}: the ledger could not be written for long (`dpstats log list` says when)")

    def _token_caps(self) -> Iterator[Finding]:
        for record in self._store.tokens.list():
            token, cap = record.identity, record.identity.cap_steps or 0
            if record.state is State.LIVE and _nearly_used(cap, self._store.caps.token_spent(token.token_id)):
                what = f"less than {NEARLY_EXHAUSTED} % of its own cap is left"
                yield Finding(
                    f"token {token.name}", f"{what}: make a new one with a higher `--cap-rho`, if it is in use"
                )

    def _proposals(self) -> Iterator[Finding]:
        for found in self._store.proposals.all():
            if found.outcome is Outcome.PENDING and found.expires_at - datetime.now(UTC) < DECIDE_WITHIN:
                what = f"the {found.kind} of {found.subject} that {found.actor} proposed"
                decide = f"`dpstats budget confirm {found.proposal_id}`, or `decline`"
                ends = f"ends undecided on {found.expires_at:%Y-%m-%d}"
                yield Finding(f"proposal {found.proposal_id}", f"{what} {ends}: {decide}")

    def _current_versions(self) -> Iterator[DataVersionRecord]:
        for dataset in self._store.registry.datasets():
            yield from self._store.registry.data_versions(dataset.name)[-1:]


def _explained(about: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What `look` finds; what it cannot look at is a finding as well."""
    found: list[Finding] = []
    try:
        with faults_explained():
            found += look()
    except DpstatsError as error:
        found.append(Finding(about, str(error).removeprefix(about).lstrip(": ")))
    return found


def _percent_left(state: BudgetState) -> float:
    """What is left of the budget, in percent: of rho or epsilon, or of delta if less of that is left."""
    left, cap = state.remaining, state.cap
    shares = [left.amount / max(1, cap.amount)] + ([left.delta / cap.delta] if cap.delta else [])
    return 100 * min(shares)


def _nearly_used(cap: int, spent: int) -> bool:
    """Whether little is left of a cap in steps; one of 0 lets nothing through by intent."""
    return cap > 0 and (cap - spent) * 100 < NEARLY_EXHAUSTED * cap


def _shared(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _belongs(file: Path, known: set[Path]) -> bool:
    """Whether it is a current data version, or DuckDB's log beside one."""
    return file in known or file.with_suffix("") in known


def _age_s(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
