"""What a query's purpose allows: which columns it may read, by how many keys it groups people, and whom it counts.

All of it follows from the files and from what the query reads, before any row is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dpstats.catalog.consented import ASKED
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.purposes import Consent, kind_of
from dpstats.catalog.query import QueryFile
from dpstats.plan.consent import Consented
from dpstats.plan.refusals import Refusals

Reads = Mapping[str, Collection[str]]
"""The columns that a query reads, by table."""


def check_purpose(
    query: QueryFile,
    dataset: DatasetFile,
    reads: Reads,
    keys: Sequence[str],
    made_of: Collection[str],
    refusals: Refusals,
) -> None:
    """Refuses what the query's purpose does not allow.

    Args:
      keys: the names of its keys. made_of: the columns that they are made of, as `table.column`.
    """
    purpose = query.purpose
    if query.significant_decision and dataset.significant_decisions == "refused":
        refusals.add(
            None,
            "it says that it serves significant decisions about people, which this dataset refuses",
            "`significant_decisions: allowed` in dataset.yaml lets it, and the public report tells",
        )
    if purpose not in dataset.purposes:
        known = ", ".join(dataset.purposes)
        refusals.add(None, f"the purpose {purpose} is not one of the dataset's", f"The purposes are: {known}")
    else:
        _check_basis(query, dataset, reads, refusals)
        _check_keys(query, dataset, keys, made_of, refusals)
    for table, column in _listed(reads):
        allowed = dataset.allowed_purposes(table, column)
        if purpose not in allowed:
            others = f"Its purposes are: {', '.join(sorted(allowed))}" if allowed else "It may be read for none"
            refusals.add(None, f"{table}.{column} may not be read for {purpose}", others)


def consented(query: QueryFile, dataset: DatasetFile, reads: Reads) -> Consented | None:
    """Whom the query counts, where it does not count everybody."""
    purpose, consent = query.purpose, _consent(query, dataset, reads)
    began = dataset.purposes[purpose].began
    if consent not in ASKED and began is None:
        return None
    kind = kind_of(purpose, dataset.purposes[purpose])
    personal = sorted(set(reads) & dataset.personal_tables.keys()) if began is not None else []
    times = tuple((table, dataset.time_of(table)) for table in personal)
    return Consented(purpose, consent, kind, _reads_sensitive(dataset, reads), began, times)


def _check_keys(
    query: QueryFile, dataset: DatasetFile, keys: Sequence[str], made_of: Collection[str], refusals: Refusals
) -> None:
    most = dataset.purposes[query.purpose].max_keys
    if most is None or max(len(keys), len(made_of)) <= most:
        return
    several = f"keys of {len(made_of)} columns ({', '.join(sorted(made_of))})"
    what = several if len(made_of) > len(keys) else f"{len(keys)} keys ({', '.join(keys)})"
    what += f", and a query for {query.purpose} may have at most {most}"
    refusals.add(None, what, "Group by fewer: many keys together tell people apart")


def _check_basis(query: QueryFile, dataset: DatasetFile, reads: Reads, refusals: Refusals) -> None:
    """Refuses sensitive personal information for a purpose that neither asks for consent nor has a basis."""
    purpose = dataset.purposes[query.purpose]
    if purpose.basis_7027m is not None or _consent(query, dataset, reads) not in {"always", "notice"}:
        return
    for table, column in _listed(reads):
        sensitive = dataset.tables[table].columns[column].sensitive
        if isinstance(sensitive, str):
            refusals.add(
                None,
                f"{table}.{column} is sensitive ({sensitive}), and {query.purpose} asks for no consent",
                "Give the purpose `consent: opt_in`, or the `basis_7027m` (1 to 8) that lets it do without",
            )


def _consent(query: QueryFile, dataset: DatasetFile, reads: Reads) -> Consent:
    """The consent that the query needs, for all that it reads."""
    return dataset.consent_of(query.purpose, sensitive=_reads_sensitive(dataset, reads))


def _reads_sensitive(dataset: DatasetFile, reads: Reads) -> bool:
    """Whether it reads a sensitive column of people; a public table is nobody's data."""
    personal = dataset.personal_tables
    return any(personal[table].columns[column].sensitive for table, column in _listed(reads) if table in personal)


def _listed(reads: Reads) -> list[tuple[str, str]]:
    return [(table, column) for table, columns in sorted(reads.items()) for column in sorted(columns)]
