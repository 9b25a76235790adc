"""Which purposes of a dataset count only some people, and where a data version says whom.

A data version of such a dataset holds the table `CONSENT`: a row for each of its units, and in it two truths for each
of these purposes (whether the unit may be counted where the use is opt-in, and where it is opt-out) and one for all
(whether its sensitive columns may be read). A purpose that is newer than some data has a third: whether the unit opted
in since it began.
"""

from __future__ import annotations

from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.purposes import SALE_OR_SHARING, Consent, kind_of

CONSENT = "dp_consent"
UNIT = "dp_unit"
UNLIMITED = "dp_unlimited"
ASKED: frozenset[Consent] = frozenset({"opt_in", "opt_out"})
"""The kinds of consent that some people give and others do not."""


def asked_purposes(dataset: DatasetFile) -> tuple[str, ...]:
    """The purposes for which some query would count only some people, or some of their rows, by name.

    None where nobody is ever asked.
    """
    sensitive = any(column.sensitive for table in dataset.personal_tables.values() for column in table.columns.values())
    reads = (False, True) if sensitive else (False,)
    return tuple(
        name
        for name, purpose in sorted(dataset.purposes.items())
        if purpose.began is not None or any(dataset.consent_of(name, sensitive=s) in ASKED for s in reads)
    )


def is_sold(dataset: DatasetFile, purpose: str) -> bool:
    """Whether a purpose is sale or sharing, so that a refusal of all of it reaches it."""
    return kind_of(purpose, dataset.purposes[purpose]) in SALE_OR_SHARING


def consent_column(purpose: str, consent: Consent) -> str:
    """The column of `CONSENT` that says whether a unit may be counted for a purpose that asks for such consent."""
    return _in(purpose) if consent == "opt_in" else _out(purpose)


def _in(purpose: str) -> str:
    return f"dp_opt_in_{purpose}"


def _out(purpose: str) -> str:
    return f"dp_opt_out_{purpose}"


def agreed_column(purpose: str) -> str:
    """The column of `CONSENT` that says whether a unit opted in to a purpose since it began."""
    return f"dp_agreed_{purpose}"


def consent_columns(dataset: DatasetFile) -> tuple[str, ...]:
    """The columns of `CONSENT` but the unit's, in their order."""
    columns: list[str] = []
    for name in asked_purposes(dataset):
        columns += [_in(name), _out(name)]
        columns += [agreed_column(name)] if dataset.purposes[name].began is not None else []
    return (*columns, UNLIMITED)


def consent_rules(dataset: DatasetFile) -> str:
    """What the truths in `CONSENT` were worked out by: where it differs from a data version's, those do not hold."""
    return canonical_json({name: _rule(dataset, name) for name in asked_purposes(dataset)}).decode()


def _rule(dataset: DatasetFile, purpose: str) -> object:
    began = dataset.purposes[purpose].began
    return is_sold(dataset, purpose) if began is None else [is_sold(dataset, purpose), began.isoformat()]
