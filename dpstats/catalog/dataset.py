"""`dataset.yaml`: the tables behind one privacy unit, and what is publicly known about their columns.

Everything here is public knowledge written by a steward; nothing is read off the data. A `DatasetFile` that exists has
passed every check below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dpstats.catalog.disclosed import Disclosure, Said
from dpstats.catalog.engines import EngineSpec
from dpstats.catalog.fields import (
    Bounds,
    ColumnName,
    Duration,
    FileModel,
    FrozenMap,
    Items,
    Line,
    Name,
    Number,
    ProblemsError,
    Prose,
    between,
    folded_twins,
    frozen_mapping,
    is_name,
    not_empty,
    parse_each,
)
from dpstats.catalog.purposes import Category, Consent, Purpose, Sensitivity, SmallestGroup, Specific, consent_needed
from dpstats.catalog.source import Problem, load_file, read_yaml
from dpstats.catalog.types import ColumnType, Value, parse_value
from dpstats.catalog.validation import validate
from dpstats.privacy.blocks import Grain
from dpstats.privacy.loss import Measure

UNIT_TYPES = ("bigint", "integer", "varchar", "uuid")
"""The types that a privacy unit's key may have."""
TIME_TYPES = ("date", "timestamp")
"""The types that a column of time may have."""
DEFAULT_PURPOSE = "measurement"
RESERVED_PURPOSES = ("all_sale_share", "limit_spi", "known_minor")
"""What these names say of a person is about more than one purpose, so no purpose may be called so."""
LINKS = "links"
"""The name under which a load takes the links between several ids of one person."""
DEFAULT_FRESH_FOR = timedelta(days=30)
_SMALLEST_DELTA = Decimal("1e-15")
_LARGEST_DELTA = Decimal("0.01")
_HALVING = Context(prec=100, rounding=ROUND_FLOOR)


def _column_type(raw: object) -> object:
    if isinstance(raw, ColumnType):
        return raw
    if not isinstance(raw, str):
        raise ValueError("must be the name of a type, such as bigint or varchar")
    return ColumnType.parse(raw)


def _some_epsilon(epsilon: Decimal) -> Decimal:
    if not 0 < epsilon <= 1000:
        raise ValueError(f"must be above 0 and at most 1000, not {epsilon}")
    return epsilon


def _some_delta(delta: Decimal) -> Decimal:
    if delta != 0 and not _SMALLEST_DELTA <= delta <= _LARGEST_DELTA:
        raise ValueError(f"must be 0 (pure DP), or between {_SMALLEST_DELTA} and {_LARGEST_DELTA}, not {delta}")
    return delta


class BudgetSpec(FileModel):
    """The cap for life over everything released about a lineage: `epsilon` in (0, 1000], `delta` 0 or 1e-15 to 0.01."""

    epsilon: Annotated[Number, AfterValidator(_some_epsilon)]
    delta: Annotated[Number, AfterValidator(_some_delta)]

    @property
    def half_of_delta(self) -> Decimal:
        """Half of delta, rounded down: one half turns rho into epsilon, the other may be spent on private keys."""
        return _HALVING.divide(self.delta, Decimal(2))


class Column(FileModel):
    """One column that is loaded. `bounds` (low < high) and `values` (of the column's type) are public knowledge.

    `purposes` is None where the file says nothing: `DatasetFile.allowed_purposes` says what that means. `retention`:
    how long its cells are needed. `never_disclose`: not even to the person whom it is about.
    """

    type: Annotated[InstanceOf[ColumnType], BeforeValidator(_column_type)]
    bounds: Bounds | None = None
    values: tuple[Value, ...] | None = None
    unit: Line | None = None
    category: Category | None = None
    purposes: Items[Name] | None = None
    why: Annotated[Prose, Specific] = ""
    sensitive: Sensitivity = False
    retention: Duration | None = None
    never_disclose: bool = False
    bounds_why: Prose = ""
    values_why: Prose = ""

    @property
    def identifies(self) -> bool:
        """Whether it says who somebody is, or is too dangerous to send even to that person: no answer is by it."""
        return self.category == "identifiers" or self.never_disclose

    @field_validator("values", mode="plain")
    @classmethod
    def _values_of_the_type(cls, raw: object, info: ValidationInfo) -> tuple[Value, ...]:
        column_type = info.data.get("type")
        if not isinstance(column_type, ColumnType):
            return ()  # the type itself is wrong, which is told
        return parse_each(raw, lambda item: parse_value(column_type, item), lambda value: value)

    @model_validator(mode="after")
    def _check(self) -> Column:
        problems = list(_column_problems(self))
        if problems:
            raise ProblemsError(problems)
        return self


def _column_problems(column: Column) -> Iterator[Problem]:
    if column.purposes is not None and len(set(column.purposes)) < len(column.purposes):
        yield ("purposes",), "a purpose is given twice: remove one"
    if column.bounds is None:
        return
    low, high = column.bounds
    if not column.type.is_numeric:
        yield ("bounds",), f"a {column.type} column has no bounds: remove them, or give `values`"
    elif low == high:
        yield ("bounds",), f"the bounds are both {low}: the low one must be below the high one"
    elif column.type.is_integer and (low != int(low) or high != int(high)):
        yield ("bounds",), f"the bounds of a {column.type} column must be whole numbers"
    else:
        for place, value in enumerate(column.values or ()):
            if isinstance(value, int | Decimal) and not low <= value <= high:
                yield ("values", place), f"{value} is outside the column's bounds [{low}, {high}]"


class Table(FileModel):
    """A table: personal (it has the privacy unit's column) or public (no personal data, joins freely).

    `retention_by`: the column of time from which the retention of a row's cells is counted. `in_place`: its rows stay
    where its owner has them, in a folder of Parquet that a load is given and takes notes of; Spark reads them there.
    """

    public: bool = False
    one_row_per_unit: bool = False
    in_place: bool = False
    retention_by: ColumnName | None = None
    columns: Annotated[FrozenMap[ColumnName, Column], AfterValidator(not_empty)]


def _grain(raw: object) -> object:
    if isinstance(raw, str) and raw in set(Grain):
        return Grain(raw)
    raise ValueError(f"must be one of {', '.join(Grain)}")


def _table_and_column(raw: str) -> str:
    table, _, column = raw.partition(".")
    if not (is_name(table) and column):
        raise ValueError("must be a table and its column of time, table.column")
    return raw


class LateRows(FileModel):
    """What a load that appends does with rows that its files bring too late.

    `drop_after`: of blocks before the one of the load's day whose rows are still taken, 0 to 10,000. A load is never
    refused for one row: that it was would show in the data version's date, to everybody.
    """

    drop_after: Annotated[int, between(0, 10_000)]


def _some_late_rows(raw: object) -> object:
    if raw == "accept":
        return None
    if raw is None or isinstance(raw, str):
        raise ValueError("must be accept, or {drop_after: BLOCKS}")
    return raw


class Blocks(FileModel):
    """The blocks of one table: its column of time, as `table.column`, how long a block is, and each one's budget.

    The static block, of the personal tables without time, has a budget of the same size. `late_rows` None: rows count
    in their own block, whenever they come. No plan depends on it, and data that are loaded stay as they are.
    """

    column: Annotated[str, AfterValidator(_table_and_column)]
    every: Annotated[Grain, BeforeValidator(_grain)]
    budget: BudgetSpec
    late_rows: Annotated[LateRows | None, BeforeValidator(_some_late_rows)] = None

    @property
    def table(self) -> str:
        """The table that has blocks."""
        return self.column.partition(".")[0]

    @property
    def time(self) -> str:
        """Its column of time."""
        return self.column.partition(".")[2]

    @property
    def conversion_delta(self) -> Decimal:
        """The delta at which a block's rho is turned into epsilon: half of its own."""
        return self.budget.half_of_delta

    @property
    def delta_thresholds(self) -> Decimal:
        """The delta of a block that may be spent on private keys: the other half."""
        return self.budget.half_of_delta


def _some_blocks(raw: object) -> object:
    if raw is None:
        raise ValueError("says nothing: give `column`, `every` and `budget`, or remove it")
    return raw


def _default_purposes() -> Mapping[str, Purpose]:
    return frozen_mapping({DEFAULT_PURPOSE: Purpose(title="Measurement", consent="notice")})


class DatasetFile(FileModel):
    """A dataset: tables behind one privacy unit, with one budget for life.

    `max_rows_per_unit`: rows that are loaded of one unit in one table, 1 to 10,000,000; in each block, of the table
    that has blocks. `min_units`: the least noisy count of units at which a group whose key was found in the data is
    released. `smallest_group`: the least noisy count of units at which a group tells its measures, wherever its key
    comes from; None: there is no such floor.
    `fresh_for`: how long a release is given again for free. `approvals_expire`: how long an approval of a query holds
    at most; None: until it is revoked. `lineage`: the name under which the budget lives, by default the dataset's.
    `links`: people may have several ids, which a load makes one unit by a source of its own. `engine`: where queries
    run; None: in DuckDB, in the service.

    For notices and assessments: `controller`: the business that answers for the data, and `contract`: the specific
    purpose that it lets a service provider use them for; `collected_from`: the categories of sources; `disclosed_to`;
    `people`: about how many there are, in the steward's words, never counted. `notice_at_load`: whether a load must
    name the notice at collection that its rows were collected under. `significant_decisions`: whether queries may
    serve decisions about people's finance, housing, education, work or health (11 CCR 7001(ddd)).
    """

    dataset: Name
    title: Line = ""
    description: Prose = ""
    privacy_unit: ColumnName
    budget: BudgetSpec
    blocks: Annotated[Blocks | None, BeforeValidator(_some_blocks)] = None
    fresh_for: Duration = DEFAULT_FRESH_FOR
    approvals_expire: Duration | None = None
    max_rows_per_unit: Annotated[int, between(1, 10_000_000)] = 20_000
    min_units: Annotated[int, between(1, 1_000_000)] = 20
    smallest_group: SmallestGroup | None = None
    links: bool = False
    engine: EngineSpec | None = None
    lineage: Name = ""  # set before the fields are checked
    controller: Line = ""
    contract: Annotated[Prose, Specific] = ""
    collected_from: Items[Said] = ()
    disclosed_to: Items[Disclosure] = ()
    people: Line = ""
    notice_at_load: Literal["optional", "required"] = "optional"
    significant_decisions: Literal["refused", "allowed"] = "refused"
    purposes: Annotated[FrozenMap[Name, Purpose], AfterValidator(not_empty)] = Field(default_factory=_default_purposes)
    tables: Annotated[FrozenMap[Name, Table], AfterValidator(not_empty)]

    @model_validator(mode="before")
    @classmethod
    def _lineage_of_its_own(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and is_name(raw.get("dataset")):
            return {"lineage": raw["dataset"]} | raw
        return raw

    @model_validator(mode="after")
    def _check(self) -> DatasetFile:
        problems = list(_dataset_problems(self))
        if problems:
            raise ProblemsError(problems)
        return self

    @property
    def measure(self) -> Measure:
        """What the budget is counted in: epsilon of pure DP where delta is 0, rho of zCDP otherwise."""
        return Measure.ZCDP if self.budget.delta else Measure.PURE

    @property
    def conversion_delta(self) -> Decimal:
        """The delta at which rho is turned into epsilon: half of the budget's. 0 for a pure-DP dataset."""
        return self.budget.half_of_delta

    @property
    def delta_thresholds(self) -> Decimal:
        """The delta that may be spent on private keys: the other half."""
        return self.budget.half_of_delta

    @property
    def personal_tables(self) -> Mapping[str, Table]:
        """The tables that have the privacy unit's column, by name. At least one."""
        return {name: table for name, table in self.tables.items() if not table.public}

    @property
    def tables_in_place(self) -> Mapping[str, Table]:
        """The tables whose rows are read where their owner has them, by name."""
        return {name: table for name, table in self.tables.items() if table.in_place}

    @property
    def unit_type(self) -> ColumnType:
        """The type of the privacy unit's key, the same in all personal tables."""
        return next(iter(self.personal_tables.values())).columns[self.privacy_unit].type

    def time_of(self, table: str) -> str | None:
        """The column that says how old a row of a table is; None: it is as old as the load that brought it."""
        if self.blocks is not None and self.blocks.table == table:
            return self.tables[table].retention_by or self.blocks.time
        return self.tables[table].retention_by

    def consent_of(self, purpose: str, *, sensitive: bool = False) -> Consent:
        """The consent that a use for one of the dataset's purposes needs; `sensitive`: it reads a sensitive column."""
        return consent_needed(purpose, self.purposes[purpose], sensitive=sensitive)

    def smallest_group_of(self, purpose: str) -> int | None:
        """The floor of a query for one of the dataset's purposes: the higher one of the dataset's and the purpose's."""
        said = self.smallest_group, self.purposes[purpose].smallest_group
        return max((floor for floor in said if floor is not None), default=None)

    def allowed_purposes(self, table: str, column: str) -> frozenset[str]:
        """The purposes for which a query may read a column.

        Those that the column names. Where it names none: every purpose for a public table, and for a personal one
        `measurement` alone (nothing, if the dataset has no such purpose).
        """
        declared = self.tables[table].columns[column].purposes
        if declared is not None:
            return frozenset(declared)
        return frozenset(self.purposes) & (frozenset(self.purposes) if self.tables[table].public else {DEFAULT_PURPOSE})


def parse_dataset(text: str, file: str) -> DatasetFile:
    """The dataset that the text of a `dataset.yaml` describes; `file` is its name in messages.

    Raises:
      FileError: with every problem found.
    """
    return validate(DatasetFile, read_yaml(text, file))


def load_dataset(path: str | Path) -> DatasetFile:
    """The dataset in a file.

    Raises:
      FileError: the file cannot be read, or is wrong.
    """
    return parse_dataset(load_file(path), str(path))


def _dataset_problems(dataset: DatasetFile) -> Iterator[Problem]:
    for purpose in RESERVED_PURPOSES:
        if purpose in dataset.purposes:
            yield ("purposes", purpose), f"{purpose} is the name of a refusal of many purposes: choose another"
    if dataset.links and LINKS in dataset.tables:
        yield ("tables", LINKS), f"is the name of the links between ids: choose another, or remove `{LINKS}: true`"
    for place, recipient in enumerate(dataset.disclosed_to):
        for purpose in recipient.purposes:
            if purpose not in dataset.purposes:
                known = ", ".join(dataset.purposes)
                yield ("disclosed_to", place, "purposes"), f"there is no purpose {purpose}: use one of {known}"
    for name, table in dataset.tables.items():
        yield from _table_problems(dataset, name, table)
    if not dataset.personal_tables:
        yield ("tables",), f"every table is public: at least one must hold the privacy unit {dataset.privacy_unit}"
    elif len({_unit_type(dataset, table) for table in dataset.personal_tables.values()} - {None}) > 1:
        yield ("tables",), f"{dataset.privacy_unit} must have the same type in every personal table"
    if dataset.blocks is not None:
        yield from _block_problems(dataset, dataset.blocks)


def _block_problems(dataset: DatasetFile, blocks: Blocks) -> Iterator[Problem]:
    table = dataset.tables.get(blocks.table)
    column = table.columns.get(blocks.time) if table else None
    if table is None or table.public or column is None:
        yield ("blocks", "column"), f"{blocks.column} is not a column of a personal table of this dataset"
    elif column.type.name not in TIME_TYPES:
        yield ("blocks", "column"), f"a column of time is a {' or '.join(TIME_TYPES)}, not a {column.type}"
    elif table.one_row_per_unit:
        what = "keeps one row of a unit whatever its time, so blocks would decide each other's rows: choose another"
        yield ("blocks", "column"), f"table {blocks.table} {what}"
    if bool(blocks.budget.delta) is not bool(dataset.budget.delta):
        yield ("blocks", "budget", "delta"), "must be 0 if the dataset's is, and only then: both count in one measure"


def _table_problems(dataset: DatasetFile, name: str, table: Table) -> Iterator[Problem]:
    columns = ("tables", name, "columns")
    for earlier, later in folded_twins(list(table.columns)):
        yield (*columns, later), f"differs from column {earlier} only in case, which DuckDB does not tell apart"
    yield from _retention_problems(name, table)
    yield from _in_place_problems(dataset, name, table)
    yield from (_public_problems if table.public else _personal_problems)(dataset, name, table)
    for column_name, column in table.columns.items():
        for purpose in column.purposes or ():
            if purpose not in dataset.purposes:
                known = ", ".join(dataset.purposes)
                yield (*columns, column_name, "purposes"), f"there is no purpose {purpose}: use one of {known}"


def _retention_problems(name: str, table: Table) -> Iterator[Problem]:
    column = table.columns.get(table.retention_by or "")
    if table.retention_by is None:
        return
    if column is None or table.public:
        yield ("tables", name, "retention_by"), f"{table.retention_by} is not a column of a personal table"
    elif column.type.name not in TIME_TYPES:
        what = f"a column of time is a {' or '.join(TIME_TYPES)}, not a {column.type}"
        yield ("tables", name, "retention_by"), what


def _in_place_problems(dataset: DatasetFile, name: str, table: Table) -> Iterator[Problem]:
    place = ("tables", name, "in_place")
    if not table.in_place:
        return
    if dataset.engine is None:
        what = "only Spark reads a table in place: add `engine: {spark: ..}`, or load it as a copy without `in_place`"
        yield place, what
    if table.public:
        yield place, "a public table is loaded as a copy: remove `in_place`"
    if table.one_row_per_unit:
        what = "which one row a unit keeps is chosen when it is loaded: load it as a copy without `in_place`"
        yield place, what


def _public_problems(dataset: DatasetFile, name: str, table: Table) -> Iterator[Problem]:
    if table.one_row_per_unit:
        yield ("tables", name, "one_row_per_unit"), "a public table has no units: remove this, or `public`"
    for column in table.columns:
        if column.lower() == dataset.privacy_unit.lower():
            what = f"a public table must not hold the privacy unit {dataset.privacy_unit}: remove it, or `public`"
            yield ("tables", name, "columns", column), what


def _personal_problems(dataset: DatasetFile, name: str, table: Table) -> Iterator[Problem]:
    unit = table.columns.get(dataset.privacy_unit)
    if unit is None:
        yield (
            ("tables", name),
            f"table {name} has no column {dataset.privacy_unit}, the privacy unit: list it, or correct `privacy_unit`; "
            "only a table with nothing about people may say `public: true`",
        )
        return
    place = ("tables", name, "columns", dataset.privacy_unit)
    if unit.type.name not in UNIT_TYPES:
        yield (*place, "type"), f"the privacy unit must be one of {', '.join(UNIT_TYPES)}, not {unit.type}"
    if unit.bounds is not None or unit.values is not None:
        yield place, "the privacy unit has neither bounds nor values: remove them"


def _unit_type(dataset: DatasetFile, table: Table) -> ColumnType | None:
    unit = table.columns.get(dataset.privacy_unit)
    return unit.type if unit else None
