"""Uses that a changed dataset file adds to data that are there already: they reach older data only with consent.

Data are used for what people were told when the data were collected; for another, incompatible purpose the business
needs their consent (11 CCR 7002(e)). A file that says nothing about it is refused, so that nobody forgets to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.purposes import Consent, kind_of

_STRENGTH: tuple[Consent, ...] = ("always", "notice", "opt_out", "opt_in")
"""What a use asks of people, the least first."""


def new_uses(before: Iterable[DatasetFile], after: DatasetFile) -> tuple[str, ...]:
    """What a changed file would use older data for without anybody's consent, in words; nothing if it may stand.

    Args:
      before: every definition that the dataset has had, oldest first: data may have been loaded under each of them, and
        people were told what the first one says. after: the one that is to take its place.
    """
    earlier = list(before)
    since = (found for one in earlier for found in (*_moved_back(one, after), *_aged(one, after)))
    return tuple(dict.fromkeys((*_silent(earlier, after), *since)))


def _silent(before: Sequence[DatasetFile], after: DatasetFile) -> Iterator[str]:
    for name, purpose in after.purposes.items():
        columns = sorted(_added(before, after, name)) if purpose.needs_consent_since is None else []
        if columns:
            yield f"{', '.join(columns)} may now be read for {name}"


def _moved_back(before: DatasetFile, after: DatasetFile) -> Iterator[str]:
    """A day that is taken away or made earlier would let in data from before it."""
    for name, purpose in after.purposes.items():
        earlier = before.purposes[name].began if name in before.purposes else None
        if earlier is None or purpose.needs_consent_since == "compatible":
            continue
        if purpose.began is None or purpose.began < earlier:
            yield f"{name} would no longer need consent for data from before {earlier}"


def _aged(before: DatasetFile, after: DatasetFile) -> Iterator[str]:
    """Another column that says how old rows are would make old ones new, for the purposes that go by a day."""
    going_by_days = [name for name, purpose in after.purposes.items() if purpose.began is not None]
    for table in after.personal_tables if going_by_days else ():
        then = before.time_of(table) if table in before.personal_tables else None
        now = after.time_of(table)
        if then is not None and now is not None and now != then:
            yield f"{table}.{now} instead of {table}.{then} would say which rows are newer than {going_by_days[0]}"


def _added(before: Sequence[DatasetFile], after: DatasetFile, purpose: str) -> Iterator[str]:
    """The columns of people that are for a purpose for which they were not by the first definition that had them.

    A purpose that is of another kind by now, or takes less of a consent, is another one under the old name.
    """
    for table, spec in after.personal_tables.items():
        for column in spec.columns:
            first = next((one for one in before if _has(one, table, column)), None)
            if first is None or purpose not in after.allowed_purposes(table, column):
                continue
            # Whoever opts in to a purpose that is new does so after it began: that is the consent which is needed.
            asks_anew = purpose not in first.purposes and after.consent_of(purpose) == "opt_in"
            is_new = purpose not in first.allowed_purposes(table, column) and not asks_anew
            if is_new or _is_another(before, after, purpose, table, column):
                yield f"{table}.{column}"


def _is_another(before: Sequence[DatasetFile], after: DatasetFile, purpose: str, table: str, column: str) -> bool:
    """Whether a column was first for a purpose of the name that was of another kind, or took more of a consent."""
    has_it = (one for one in before if _has(one, table, column) and purpose in one.allowed_purposes(table, column))
    first = next(has_it, None)
    if first is None:
        return False
    then, now = first.purposes[purpose], after.purposes[purpose]
    # Where neither says its kind, the consent decides it: one that asks for more is no other use.
    kind_is_said = then.kind is not None or now.kind is not None
    if kind_is_said and kind_of(purpose, then) != kind_of(purpose, now):
        return True
    return _strength(after, purpose, table, column) < _strength(first, purpose, table, column)


def _strength(dataset: DatasetFile, purpose: str, table: str, column: str) -> int:
    sensitive = bool(dataset.tables[table].columns[column].sensitive)
    return _STRENGTH.index(dataset.consent_of(purpose, sensitive=sensitive))


def _has(dataset: DatasetFile, table: str, column: str) -> bool:
    return table in dataset.personal_tables and column in dataset.tables[table].columns
