"""An erasure reaches every dataset of the same people: whatever type their ids have, whoever adds one meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from workspace_shop import DATASET, ME, Shop

from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.erasure import held
from dpstats.errors import Conflict
from dpstats.ledger.files import file_lock


def add(shop: Shop, name: str, unit_type: str, ids: list[str], wait: threading.Barrier | None = None) -> None:
    """Adds a dataset of the shop's people; `wait`: halfway through its load."""
    file, source = shop.folder / f"{name}.yaml", shop.folder / f"{name}.csv"
    file.write_text(DATASET.format(name=name, most=100).replace("type: bigint", f"type: {unit_type}"))
    source.write_text("customer,spent\n" + "".join(f'"{each}",2.5\n' for each in ids))

    def halfway(_: str, done: float) -> None:
        if wait is not None and done == 1.0:
            wait.wait(60)

    shop.workspace.datasets.add(ME, file, {"visits": source}, progress=halfway)


def units(shop: Shop, name: str) -> set[str]:
    definition = shop.workspace.store.registry.dataset(name).definition
    version = shop.workspace.store.registry.data_version(name)
    path = shop.workspace.home / "data" / version.file
    return set(held(parse_dataset(definition, name), path, lambda _: True).ids)


def verified(shop: Shop, dataset: str, unit: str) -> str:
    opened = shop.workspace.rights.open(ME, "delete", dataset, unit)
    shop.workspace.rights.verify(ME, opened["id"], "reasonable", "two facts matched")
    return str(opened["id"])


def erased(shop: Shop, dataset: str, unit: str) -> Mapping[str, Any]:
    done: Mapping[str, Any] = shop.workspace.rights.execute(ME, verified(shop, dataset, unit))
    return done


@pytest.mark.parametrize(("asked_of", "unit"), [("shop", "007"), ("shop", "7"), ("cards", "7")])
def test_a_person_goes_from_datasets_whose_ids_are_of_another_type(shop: Shop, asked_of: str, unit: str) -> None:
    add(shop, "shop", "bigint", ["7", "8"])
    add(shop, "cards", "varchar", ["7", "8"])
    erased(shop, asked_of, unit)
    assert (units(shop, "shop"), units(shop, "cards")) == ({"8"}, {"8"})


def test_an_id_with_zeros_in_front_is_the_same_person_in_whole_numbers_and_another_one_in_texts(shop: Shop) -> None:
    add(shop, "cards", "varchar", ["007", "7", "8"])
    add(shop, "shop", "bigint", ["7", "8"])
    erased(shop, "cards", "007")
    assert (units(shop, "shop"), units(shop, "cards")) == ({"8"}, {"7", "8"})
    add(shop, "cards", "varchar", ["007", "7", "8"])
    add(shop, "counted", "integer", ["7", "8"])
    assert (units(shop, "counted"), units(shop, "cards")) == ({"8"}, {"7", "8"})


def test_a_dataset_that_is_being_added_meanwhile_is_not_passed_by(shop: Shop) -> None:
    add(shop, "shop", "bigint", ["7", "8"])
    request, halfway = verified(shop, "shop", "7"), threading.Barrier(2)
    adding = threading.Thread(target=add, args=(shop, "cards", "bigint", ["7", "8"], halfway))
    erasing = threading.Thread(target=shop.workspace.rights.execute, args=(ME, request))
    adding.start()
    while not list((shop.workspace.home / "data" / "cards").glob(".loading-*")):
        threading.Event().wait(0.01)
    erasing.start()
    erasing.join(2)  # if it passes by, it ends before the load does
    halfway.wait(60)
    adding.join(60)
    erasing.join(60)
    assert (units(shop, "shop"), units(shop, "cards")) == ({"8"}, {"8"})


def test_who_may_not_see_all_datasets_of_the_people_erases_nobody(shop: Shop) -> None:
    add(shop, "shop", "bigint", ["7", "8"])
    add(shop, "cards", "bigint", ["7", "8"])
    request = verified(shop, "shop", "7")
    with pytest.raises(Conflict, match="all data of the same people"):
        shop.workspace.rights.execute(shop.token("sue", "steward", "shop"), request)
    assert shop.workspace.rights.one(ME, request)["state"] == "verified"
    assert "7" in units(shop, "shop")
    assert shop.workspace.rights.execute(ME, request)["state"] == "fulfilled"


def test_who_may_not_see_a_dataset_is_not_told_what_was_erased_from_it(shop: Shop) -> None:
    add(shop, "shop", "bigint", ["7", "8"])
    add(shop, "cards", "bigint", ["7", "7", "8"])
    request = erased(shop, "shop", "7")["id"]
    told = {
        name: [each["dataset"] for each in shop.workspace.rights.one(identity, request)["evidence"]["erased"]]
        for name, identity in {"all": ME, "some": shop.token("sue", "steward", "shop")}.items()
    }
    assert told == {"all": ["cards", "shop"], "some": ["shop"]}


def test_a_renewal_waits_for_whoever_loads_or_erases_the_same_people(shop: Shop) -> None:
    add(shop, "cards", "bigint", ["7", "8"])
    renewing = threading.Thread(target=shop.workspace.datasets.renew, args=(ME, "cards"))
    with file_lock(shop.workspace.home / ".load-shop.lock"):
        renewing.start()
        renewing.join(2)  # if it does not wait, it ends
        assert renewing.is_alive()
    renewing.join(60)
    assert units(shop, "cards") == {"7", "8"}
