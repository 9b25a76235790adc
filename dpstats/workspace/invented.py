"""Consent of people who are invented: of an audit's or a sandbox's data, where whoever has rows is to be counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dpstats.catalog.consented import asked_purposes
from dpstats.catalog.dataset import DatasetFile
from dpstats.ledger.tokens import Identity
from dpstats.rights.intake import Wish
from dpstats.workspace import Workspace


def everybody_consents(
    workspace: Workspace,
    identity: Identity,
    dataset: DatasetFile,
    tables: Mapping[str, Mapping[str, Collection[object]]],
) -> None:
    """Everybody in these invented tables says yes to everything that the dataset asks, and an epoch is closed.

    Args:
      tables: each table's columns, by name.
    """
    purposes = asked_purposes(dataset)
    if not purposes:
        return
    columns = (tables[name][dataset.privacy_unit] for name in dataset.personal_tables)
    people = {str(each) for column in columns for each in column if each is not None}
    wishes = [Wish(each, purpose, "opt_in", "invented") for each in people for purpose in purposes]
    workspace.consent.send(identity, [(dataset.dataset, wish) for wish in wishes])
    workspace.epochs.close(identity)
