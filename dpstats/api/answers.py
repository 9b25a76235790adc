"""What answers hold, for OpenAPI: routes send the workspace's JSON as it is, and the tests hold it to these models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dpstats.api.problems import KINDS


class Answer(BaseModel):
    """What every answer is: exactly the fields that it names."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457). Beside these, each kind of error carries fields of its own."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "/problems/budget-exhausted",
                "title": "Privacy budget exhausted",
                "status": KINDS["budget-exhausted"].status,
                "detail": "the dataset's privacy budget does not cover this: it costs rho 0.5, 0.1 is left",
                "instance": "/v1/queries/spend_by_income/releases",
                "scope": "dataset",
                "measure": "rho",
                "requested": 0.5,
                "remaining": 0.1,
            }
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Health(Answer):
    status: Literal["live", "ready"]


class Column(Answer):
    type: str
    bounds: list[float] | None
    values: list[str] | None
    unit: str | None
    category: str | None
    purposes: list[str] | None
    why: str | None
    sensitive: bool | str
    retention_days: float | None
    never_disclose: bool


class Table(Answer):
    public: bool
    one_row_per_unit: bool
    in_place: bool
    columns: dict[str, Column]


class BlockBudget(Answer):
    epsilon: float
    delta: float


class Blocks(Answer):
    """Time blocks: their column of time, how long one is, and the budget of each."""

    column: str
    every: Literal["day", "week", "month", "quarter", "year"]
    budget: BlockBudget


class Purpose(Answer):
    title: str
    consent: str
    kind: str


class Dataset(Answer):
    """A dataset as it is declared; nothing in it was counted."""

    dataset: str
    title: str
    description: str
    privacy_unit: str
    lineage: str
    data_version: str | None
    as_of: str | None
    frozen: bool
    fresh_for_days: float
    blocks: Blocks | None
    purposes: dict[str, Purpose]
    tables: dict[str, Table]


class Datasets(Answer):
    items: list[Dataset]
    next: str | None


class Block(Answer):
    """A time block's budget, at its own conversion delta. `static`: of the personal tables without time.

    `epsilon_spent` is for the data of one unit that has rows in this block alone.
    """

    block: str
    rho: float | None
    rho_spent: float | None
    rho_remaining: float | None
    epsilon: float
    epsilon_spent: float
    epsilon_remaining: float
    delta_remaining: float


class Budget(Answer):
    """The cap for life, what is spent and what is left. Exact to a step of 1e-12; rho is null for a pure-DP dataset."""

    epsilon: float
    delta: float
    epsilon_spent: float
    epsilon_remaining: float
    rho: float | None
    rho_spent: float | None
    rho_remaining: float | None
    delta_remaining: float
    blocks: list[Block] | None = None


class BudgetDay(Answer):
    """The budget at the end of a day (UTC) on which something was granted or charged, in `measure`."""

    day: str
    granted: float
    spent: float
    remaining: float
    delta_remaining: float


class PaceForecast(Answer):
    """Until when a budget lasts at the pace of late; `earliest` and `latest`: 95 %. A day that is null is too far off.

    `since`, `days`, `charges` and `amount` are what it goes by, null where there is too little to go by.
    """

    since: str | None
    days: int | None
    charges: int | None
    amount: float | None
    runs_out: Literal["rho", "epsilon", "delta"] | None
    ends_on: str | None
    earliest: str | None
    latest: str | None
    says: str
    assumes: str


class CadenceForecast(Answer):
    """Until when a budget lasts if every approved query is asked at its cadence. `charges`, `amount`: of a year."""

    queries: int
    charges: int
    amount: float
    runs_out: Literal["rho", "epsilon", "delta"] | None
    ends_on: str | None
    earliest: str | None
    latest: str | None
    says: str
    assumes: str


class Forecast(Answer):
    from_spending: PaceForecast
    from_cadences: CadenceForecast


class Spender(Answer):
    """What one cause charged; `share` is of everything spent."""

    name: str
    charges: int
    amount: float
    delta: float
    share: float
    last_on: str


class SpentBy(Answer):
    query: list[Spender]
    purpose: list[Spender]
    role: list[Spender]
    actor: list[Spender]


class Spending(Answer):
    """Where a budget goes and until when it lasts; amounts are in `measure`."""

    dataset: str
    measure: Literal["rho", "epsilon"]
    today: str
    burn_down: list[BudgetDay]
    forecast: Forecast
    spent_by: SpentBy


class Cost(Answer):
    rho: float | None
    delta: float
    epsilon: float


class ChargedBlocks(Answer):
    """The blocks of a charge: from `first` (null: the earliest) to `last` (null: none of time), and the static one."""

    first: str | None
    last: str | None
    static: bool


class Approval(Answer):
    version: str
    approved_by: str
    approved_at: str
    confirmed_by: str | None
    revoked_at: str | None
    expires_at: str | None


class Query(Answer):
    """A query as it stands: what it counts, of whom, within which bounds and at which price."""

    query: str
    dataset: str
    title: str
    description: str
    tags: list[str]
    purpose: str
    query_version: str
    approved: bool
    cadence: str | None
    approvals: list[Approval]
    parameters: dict[str, dict[str, Any]]
    keys: list[str]
    measures: list[str]
    bounds: dict[str, list[float]]
    why: dict[str, Any]
    cost: dict[str, Any]
    sql: str


class Queries(Answer):
    items: list[Query]
    next: str | None


class Measure(Answer):
    """How a measure's numbers were made: `scale` and `half_width_95` are in its own units.

    An average, a ratio or a variance has a half-width that depends on its denominator: `half_width_95_at` gives it for
    some denominators, which count "rows", "units" or "values", or are a sum ("denominator"); null: nothing is told.
    A quantile has a `rank_error_95`: how many rows farther from its rank than the best candidate it may be. `least`: no
    true number is below it, though noise may be; `display` keeps to it.
    """

    mechanism: str
    scale: float | None
    half_width_95: float | None
    half_width_95_at: dict[str, float | None] | None = None
    denominator: Literal["rows", "units", "values", "denominator"] | None = None
    rank_error_95: int | None = None
    least: float | None = None
    unit: str | None = None
    bounding: str
    type: Literal["integer", "number"]


class OtherCost(Answer):
    """What the same query would cost at another price, and the 95 % half-widths that it would buy, by measure."""

    rho: float | None
    delta: float
    epsilon: float
    measures: dict[str, float | None]
    half_width_95_at: dict[str, dict[str, float | None]]
    rank_error_95: dict[str, int]


class LimitedBy(Answer):
    """Whose budget or cap does not cover an answer, as `budget-exhausted` tells it.

    `name`: which block, role or purpose; null for the dataset's own budget and for the caller's token.
    """

    scope: Literal["dataset", "token", "role", "purpose", "block"]
    name: str | None


class Preview(Answer):
    """What a release would cost and how sure it would be; nothing was charged.

    `limited_by`: null where it is `affordable`.
    `costs`: the same query at a quarter to four times its cost. `notes`: what its bounds do beyond the noise, and how
    the noise compares with what was released before, in sentences.
    """

    query: str
    query_version: str
    parameters: dict[str, str | int]
    cost: Cost
    affordable: bool
    limited_by: LimitedBy | None
    free_replay: bool
    remaining_like_this: int
    groups: int | None
    measures: dict[str, Measure]
    costs: list[OtherCost]
    notes: list[str]
    proof: list[str]


class Key(Answer):
    name: str
    type: str


class Receipt(Answer):
    """The ledger's signed head at this release's charge: kept, it shows if the ledger was rewritten or cut since."""

    seq: int
    hash: str
    signature: str


class SmallestGroup(Answer):
    """The floor of a release: where the noisy `counted_by` is below it, a row's measures are withheld.

    `counted_by`: null where no measure is that count. `withheld`: how many rows those are; the cells have a null value
    and ends, and `withheld: true`.
    """

    floor: int
    counted_by: str | None
    withheld: int


class Release(Answer):
    """A noisy answer. Each row has the keys' values, and for each measure its value, interval and what to show."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "release_id": "1ada5bacf1f7c3c05d2202e93ef4b5d4",
                "query": "spend_by_income",
                "query_version": f"sha256:{'0' * 64}",
                "dataset": "complete_journey",
                "data_version": "dv_d24b1ef7757d7201",
                "parameters": {"since": "2017-01-01", "until": "2018-01-02"},
                "created_at": "2026-01-05T09:30:00.000000+00:00",
                "as_of": "2026-01-05T09:00:00.000000+00:00",
                "replayed": False,
                "cost": {"rho": 0.005, "delta": 0.0, "epsilon": 0.4452},
                "budget": {
                    "epsilon": 6.0,
                    "delta": 1e-06,
                    "epsilon_spent": 0.4452,
                    "epsilon_remaining": 5.5548,
                    "rho": 0.610220391502,
                    "rho_spent": 0.005,
                    "rho_remaining": 0.605220391502,
                    "delta_remaining": 5e-07,
                },
                "receipt": {"seq": 2, "hash": f"sha256:{'0' * 64}", "signature": f"ed25519:{'0' * 128}"},
                "privacy_unit": "household_id",
                "keys": [{"name": "income", "type": "varchar"}],
                "measures": {
                    "households": {
                        "mechanism": "discrete_gaussian",
                        "scale": 14.15,
                        "half_width_95": 28,
                        "bounding": "max_groups 1",
                        "type": "integer",
                    }
                },
                "rows": [
                    {
                        "income": "35-49K",
                        "households": {"value": 171, "low": 143, "high": 199, "display": "about 170 (140 to 200)"},
                    }
                ],
            }
        },
    )

    release_id: str
    query: str
    query_version: str
    dataset: str
    data_version: str
    parameters: dict[str, str | int]
    created_at: str
    as_of: str
    replayed: bool
    cost: Cost
    budget: Budget
    receipt: Receipt | None = None
    privacy_unit: str
    keys: list[Key]
    measures: dict[str, Measure]
    smallest_group: SmallestGroup | None = None
    rows: list[dict[str, Any]]


class ReleaseLine(Answer):
    """A release without its rows."""

    release_id: str
    query: str
    query_version: str
    dataset: str
    data_version: str
    parameters: dict[str, str | int]
    cost: Cost
    created_at: str
    fresh_until: str


class Releases(Answer):
    items: list[ReleaseLine]
    next: str | None
