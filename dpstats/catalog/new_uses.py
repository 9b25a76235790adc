"""Uses that a changed dataset file adds to data that are there already: they reach older data only with consent.

Data are used for what people were told when the data were collected; for another, incompatible purpose the business
needs their consent (11 CCR 7002(e)). A file that says nothing about it is refused, so that nobody forgets to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dpstats.catalog.dataset import DatasetFile


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
    """The columns of people that are for a purpose for which they were not by the first definition that had them."""
    for table, spec in after.personal_tables.items():
        for column in spec.columns:
            first = next((one for one in before if _has(one, table, column)), None)
            if first is None or purpose not in after.allowed_purposes(table, column):
                continue
            # Whoever opts in to a purpose that is new does so after it began: that is the consent which is needed.
            asks_anew = purpose not in first.purposes and after.consent_of(purpose) == "opt_in"
            if purpose not in first.allowed_purposes(table, column) and not asks_anew:
                yield f"{table}.{column}"


def _has(dataset: DatasetFile, table: str, column: str) -> bool:
    return table in dataset.personal_tables and column in dataset.tables[table].columns
