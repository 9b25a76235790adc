"""A correction over HTTP, end to end: asked for, verified, carried out, told to the person, kept whatever is loaded."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from api_town import MARKER, ME, Town

RIGHT = "Ann likes figs"
WRONG = {"set": {"note": RIGHT}, "where": {"day": "2017-01-15"}, "table": "sales"}


def opened(town: Town, kind: str, unit: int, **more: Any) -> str:
    body = {"type": kind, "dataset": "town", "unit": unit} | more
    return str(town.ask("POST", "/v1/rights/requests", role="steward", json=body).json()["id"])


def step(town: Town, request: str, what: str, body: dict[str, Any] | None = None, status: int = 200) -> dict[str, Any]:
    path = f"/v1/rights/requests/{request}/{what}"
    answer = town.ask("POST", path, role="steward", **({} if body is None else {"json": body}))
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def verified(town: Town, kind: str, unit: int, **more: Any) -> str:
    request = opened(town, kind, unit, **more)
    step(town, request, "confirm")
    step(town, request, "verify", {"level": "reasonably_high", "method": "signed declaration"})
    return request


def package(town: Town, unit: int) -> dict[str, Any]:
    """What the person is sent."""
    done = step(town, verified(town, "know", unit, waive=True), "execute")
    content = town.ask("GET", done["package"]["path"], role="steward").content
    return dict(json.loads(zipfile.ZipFile(io.BytesIO(content)).read("package.json")))


def notes(told: dict[str, Any]) -> list[str]:
    (sales,) = (each for each in told["specific_pieces"] if each["table"] == "sales")
    return [row["note"] for row in sorted(sales["rows"], key=lambda row: row["day"])]


def test_a_correction_is_put_in_place_told_and_kept_until_the_source_says_so(town: Town) -> None:
    assert notes(package(town, 5)) == [MARKER, MARKER]
    budget = town.budget()
    request = opened(town, "correct", 5)
    step(town, request, "execute", {"correction": WRONG}, 409)  # who asks is not known yet
    assert step(town, request, "confirm")["state"] == "confirmed"
    step(town, request, "verify", {"level": "reasonable", "method": "two facts matched"})
    step(town, request, "execute", {"correction": {**WRONG, "set": {"sort": "x"}}}, 422)
    step(town, request, "execute", {"correction": {**WRONG, "where": {"day": "2001-01-01"}}}, 409)
    done = step(town, request, "execute", {"correction": WRONG})
    assert (done["state"], done["evidence"]["corrected"]["columns"]) == ("fulfilled", ["note"])
    assert done["correction"]["confirmed_at"] is None
    assert RIGHT not in json.dumps(done)
    told = package(town, 5)
    assert notes(told) == [RIGHT, MARKER]
    assert told["corrections"][0]["set"] == {"note": RIGHT}
    assert notes(package(town, 6)) == [MARKER, MARKER]
    town.workspace.datasets.load(ME, "town", {"sales": town.files / "sales.csv"})
    assert notes(package(town, 5)) == [RIGHT, MARKER]
    assert town.budget() == budget
    step(town, request, "execute", {"correction": WRONG}, 409)  # it is over


def test_the_source_that_says_the_same_ends_a_correction(town: Town) -> None:
    request = verified(town, "correct", 5)
    step(town, request, "execute", {"correction": WRONG})
    rows = (town.files / "sales.csv").read_text("utf-8").splitlines()
    said = [row.replace(MARKER, RIGHT) if row.startswith("5,") and "2017-01-15" in row else row for row in rows]
    file = town.workspace.home / "said.csv"
    file.write_text("\n".join(said), "utf-8")
    town.workspace.datasets.load(ME, "town", {"sales": file})
    found = town.ask("GET", f"/v1/rights/requests/{request}", role="steward").json()
    assert found["correction"]["confirmed_at"]
    assert package(town, 5)["corrections"] == []


def test_nobody_but_a_steward_corrects_or_sees_a_correction(town: Town) -> None:
    request = verified(town, "correct", 5)
    for role in ("analyst", "job", "collector"):
        path = f"/v1/rights/requests/{request}"
        assert town.ask("POST", f"{path}/execute", role=role, json={"correction": WRONG}).status_code == 403
        assert town.ask("GET", path, role=role).status_code == 403
    assert notes(package(town, 5)) == [MARKER, MARKER]
