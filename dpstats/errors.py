"""The whole error tree.

    DpstatsError                     every refusal or failure that dpstats itself explains
    +-- FileError                    a YAML or data file is wrong: where, what, what to do
    +-- QueryRefused                 a query cannot be answered safely: every reason, with its place
    +-- Unauthorized                 no valid token
    +-- Forbidden                    the token's role or datasets do not allow this
    |   +-- TermsNotAccepted         the token's holder has not accepted the recipients' terms in force
    +-- ForeignForm                  a form that does not come from a page of this sign-in
    +-- NotFound                     nothing by this name
    |   +-- PackageGone              nothing under this link, any more
    +-- NotApproved                  the query's current version has no approval
    |   +-- NotAnswered              the dataset does not answer the query as it is defined now
    +-- InvalidParameters            a parameter is missing, unknown or out of its range
    +-- BudgetExhausted              the charge does not fit in what is left
    +-- Frozen                       a steward froze the dataset
    +-- IdempotencyConflict          the same Idempotency-Key came with another request
    +-- RateLimited                  too many requests
    +-- Busy                         too many releases are being computed; nothing was charged
    +-- Unavailable                  it could not be done now; says nothing about why, because it may have seen rows
    +-- NotLoaded                    the dataset's data are not there in the form its definition asks for
    |   +-- EngineFailed             the Spark that they are in cannot be used; no row was read, nothing was charged
    +-- ConsentUnknown               the purpose asks for consent, and no epoch of late says who gave it
    +-- InPlaceChanged               the files of a table that is read in place are not those of its load
    +-- TooOld                       a feature view has no numbers that are young enough to be given
    +-- Conflict                     the steward's change contradicts what is recorded
    |   +-- SecondStewardNeeded      policy asks for another steward's confirmation
    +-- LedgerBroken                 the ledger cannot be trusted; nothing is answered until it is looked at
    +-- LockdownFailed               DuckDB let a probe through; nothing is served
    +-- SelfTestFailed               a primitive is not what it must be here; nothing is served

An error carries its numbers and makes its message from them. An error raised after rows were read
carries nothing that depends on them: `Unavailable` has one fixed message.
`slug` is the stable last part of the HTTP problem's `type`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar


class DpstatsError(Exception):
    """Every refusal or failure that dpstats explains; `str(error)` is one clear line."""

    slug: ClassVar[str] = "unavailable"


class FileError(DpstatsError):
    """A file that dpstats reads is wrong. Carries the file, the line (1-based, 0 if none) and the key."""

    slug = "invalid-file"

    def __init__(self, file: str, what: str, *, line: int = 0, key: str = "") -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {key}: {what}" if key else f"{place}: {what}")
        self.file, self.what, self.line, self.key = file, what, line, key


@dataclass(frozen=True)
class Refusal:
    """One reason why a query cannot be answered: what is wrong, where in the SQL or file, what to write instead."""

    what: str
    instead: str
    line: int = 0
    column: int = 0
    snippet: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column} of the SQL: " if self.line else ""
        code = f" (at `{self.snippet}`)" if self.snippet else ""
        return f"{place}{self.what}{code}. {self.instead}"


class QueryRefused(DpstatsError):
    """A query cannot be answered safely. `reasons` holds every reason found, in the order of the text."""

    slug = "query-refused"

    def __init__(self, query: str, reasons: Sequence[Refusal]) -> None:
        self.query, self.reasons = query, tuple(reasons)
        many = f"{len(self.reasons)} reasons: " if len(self.reasons) > 1 else ""
        super().__init__(f"query {query} cannot be answered: {many}" + " | ".join(str(r) for r in self.reasons))


class Unauthorized(DpstatsError):
    """No token, or one that is unknown, expired or revoked: the three are not told apart."""

    slug = "unauthorized"

    def __init__(self) -> None:
        super().__init__(
            "no valid token: it is missing, mistyped, expired or revoked; send `Authorization: Bearer TOKEN`. "
            "A steward makes one with `dpstats token create`"
        )


class Forbidden(DpstatsError):
    """The token is valid but its role or its datasets do not allow this."""

    slug = "forbidden"

    def __init__(self, role: str, action: str) -> None:
        super().__init__(f"a token of role {role} may not {action}: ask a steward")
        self.role, self.action = role, action


class TermsNotAccepted(Forbidden):
    """The recipients' terms in force were not accepted for this token. Carries their version."""

    def __init__(self, role: str, version: int) -> None:
        super().__init__(role, "be given data")
        self.version = version

    def __str__(self) -> str:
        return (
            f"this token's holder has not accepted the recipients' terms of version {self.version}, so it is given no "
            f'data: read them (GET /v1/terms, or the page /terms), then POST {{"version": {self.version}}} to '
            "/v1/terms/acceptance, or tick the box when you sign in"
        )


class ForeignForm(DpstatsError):
    """A form that was not sent from a page of this browser's sign-in."""

    slug = "foreign-form"

    def __init__(self) -> None:
        super().__init__(
            "the form does not come from a page that was opened here, with its cookie, so nothing was done"
        )


class NotFound(DpstatsError):
    """Nothing by this name that the caller may see."""

    slug = "not-found"

    def __init__(self, kind: str, name: str) -> None:
        noun = kind.rsplit(maxsplit=1)[-1]
        rooms = {"dataset": "dataset", "query": "query", "token": "token", "view": "features"}
        calls = {
            "dataset": ", or GET /v1/datasets,",
            "query": ", or GET /v1/queries,",
            "view": ", or GET /v1/features,",
        }
        hint = f": `dpstats {rooms[noun]} list`{calls.get(noun, '')} shows what there is" if noun in rooms else ""
        super().__init__(f"no {kind} named {name!r}{hint}")
        self.kind, self.name = kind, name


class PackageGone(NotFound):
    """No package of a request to know under a link: never, or no more, which are not told apart."""

    def __init__(self) -> None:
        super().__init__("package", "of this link")
        self.args = ("there is no package under this link: each is fetched once, within a week",)


class NotApproved(DpstatsError):
    """The query's current version has no approval, or it was revoked or has expired."""

    slug = "not-approved"

    def __init__(self, query: str, version: str) -> None:
        super().__init__(
            f"query {query} is not approved in its current version {version[:19]}: "
            f"a steward approves it with `dpstats query approve {query}`"
        )
        self.query, self.version = query, version


class NotAnswered(NotApproved):
    """The dataset's present definition does not answer the query, or it may not be held: no approval would help."""

    def __init__(self, query: str, version: str, dataset: str) -> None:
        super().__init__(query, version)
        self.args = (
            f"dataset {dataset} does not answer query {query} as it is defined now: `dpstats doctor` says what to do",
        )


class InvalidParameters(DpstatsError):
    """A parameter is missing, unknown, of the wrong type or out of its range. `problems`: name -> what is wrong."""

    slug = "invalid-parameters"

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("invalid parameters: " + "; ".join(f"{name}: {what}" for name, what in problems.items()))
        self.problems = dict(problems)


_WAYS_OUT = {
    "dataset": "a steward can raise the budget with `dpstats budget grant`",
    "token": "a steward can make a new token with a higher `--cap-rho`",
    "envelope": "it is a month's, full again on the first; a steward sets it in the view's file",
    "role": "a steward can raise the role's cap with `dpstats budget cap`",
    "purpose": "a steward can raise the purpose's cap with `dpstats budget cap`",
    "block": "a block never refills and cannot be granted more: ask about other blocks",
    "block static": "it never refills and pays for every question about a table without time blocks: ask about others",
}


class BudgetExhausted(DpstatsError):
    """The charge does not fit. `measure` is "rho", "epsilon" or "delta"; amounts are exact.

    `scope`: whose budget it is; `name`: which block, role or purpose.
    """

    slug = "budget-exhausted"

    def __init__(
        self, *, measure: str, requested: Decimal, remaining: Decimal, scope: str = "dataset", name: str = ""
    ) -> None:
        whose = f"{scope} {name}" if name else scope
        way_out = _WAYS_OUT.get(whose, _WAYS_OUT[scope])
        super().__init__(
            f"the {whose}'s privacy budget does not cover this: it costs {measure} {requested:f}, "
            f"{remaining:f} is left; nothing was charged. Answers released before are still free; {way_out}"
        )
        self.measure, self.requested, self.remaining, self.scope = measure, requested, remaining, scope
        self.name = name


class Frozen(DpstatsError):
    """A steward froze the dataset: it answers nothing, not even replays."""

    slug = "frozen"

    def __init__(self, dataset: str) -> None:
        super().__init__(f"dataset {dataset} is frozen: a steward can thaw it with `dpstats budget thaw {dataset}`")
        self.dataset = dataset


class IdempotencyConflict(DpstatsError):
    """The Idempotency-Key was used before for another request."""

    slug = "idempotency-conflict"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request: send a new key")


class RateLimited(DpstatsError):
    """Too many requests."""

    slug = "rate-limited"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Busy(DpstatsError):
    """Too many releases are being computed or waited for; nothing was charged."""

    slug = "unavailable"
    retry_after_s: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__(
            f"too many releases are being computed now: try again in {self.retry_after_s} s; nothing was charged"
        )


class Unavailable(DpstatsError):
    """It could not be done now. The message is fixed: whatever went wrong may have depended on rows."""

    slug = "unavailable"

    def __init__(self) -> None:
        super().__init__(
            "the answer could not be computed now: try again later; "
            "if it was charged, the next try is under the same charge"
        )


class NotLoaded(DpstatsError):
    """Nothing is loaded for the dataset, or its definition changed in what is loaded since."""

    slug = "unavailable"

    def __init__(self, dataset: str) -> None:
        super().__init__(
            f"dataset {dataset} is not loaded in its present definition: a steward loads it with "
            f"`dpstats dataset load {dataset} --source TABLE=PATH`"
        )
        self.dataset = dataset


class EngineFailed(NotLoaded):
    """The Spark that a dataset's data are in cannot be used. Raised before anything is charged or any row is read."""

    def __init__(self, what: str, dataset: str = "") -> None:
        super().__init__(dataset)
        self.what = what

    def __str__(self) -> str:
        return f"the Spark that the dataset names cannot be used: {self.what}"


class ConsentUnknown(DpstatsError):
    """The purpose asks for consent, and no epoch was closed of late, or not for the dataset as it is defined now."""

    slug = "unavailable"

    def __init__(self, dataset: str, purpose: str) -> None:
        super().__init__(
            f"who consents to {purpose} in dataset {dataset} is not known as of late, so nothing is answered for it: "
            "a steward closes an epoch with `dpstats consent epoch`"
        )
        self.dataset, self.purpose = dataset, purpose


class InPlaceChanged(DpstatsError):
    """A table is read in place, and its owner's files are not those any more that were noted when it was loaded."""

    slug = "unavailable"

    def __init__(self, dataset: str, table: str) -> None:
        super().__init__(
            f"table {table} of dataset {dataset} is read in place, and its files were changed since it was loaded, or "
            "their disk says nothing, so nothing is answered from it and nothing was charged: a steward loads it again"
        )
        self.dataset, self.table = dataset, table


class TooOld(DpstatsError):
    """A feature view has no numbers that may be given: none yet, or older than its maximal age."""

    slug = "unavailable"

    def __init__(self, view: str, what: str) -> None:
        super().__init__(f"feature view {view} {what}: `dpstats refresh {view}` renews it, or says why it cannot")
        self.view = view


class Conflict(DpstatsError):
    """A steward's change contradicts what is recorded (a known lineage, a name in use)."""

    slug = "conflict"


class SecondStewardNeeded(Conflict):
    """Policy does not let one steward do this alone. `proposal`: where it waits for another, empty if it does not."""

    def __init__(self, what: str, proposal: str = "") -> None:
        way = (
            f"proposed as {proposal}: another steward confirms it with `dpstats budget confirm {proposal}` "
            f"on the host, or with POST /v1/proposals/{proposal}/confirm"
        )
        super().__init__(f"{what} needs a second steward; {way if proposal else 'nothing is changed'}")
        self.what, self.proposal = what, proposal


class LedgerBroken(DpstatsError):
    """The ledger does not verify: an entry was changed, removed or inserted, or a tail was cut."""

    slug = "unavailable"


class LockdownFailed(DpstatsError):
    """DuckDB, meant to be closed to everything but its tables, let a probe through. `probe` says which one."""

    slug = "unavailable"

    def __init__(self, probe: str) -> None:
        super().__init__(
            f"DuckDB let a probe through ({probe}), so nothing is served: "
            "install the DuckDB version that dpstats asks for"
        )
        self.probe = probe


class SelfTestFailed(DpstatsError):
    """A primitive that the guarantee stands on is not what it must be on this machine. `check` says which one."""

    slug = "unavailable"

    def __init__(self, check: str) -> None:
        super().__init__(
            f"the self-test failed ({check}), so nothing is served: "
            "look at the machine's clock and temporary folder, and install the versions that dpstats asks for"
        )
        self.check = check
