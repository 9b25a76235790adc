"""Stored releases: written row by row, and sent as they are stored without their rows being read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dpstats import views
from dpstats.ledger.packed import PIECE, is_packed, packed, unpacked
from dpstats.ledger.records import StoredRelease

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CORE: dict[str, Any] = {
    "release_id": "r",
    "parameters": {"rows": 5, "word": 'a,"rows":[1],"é', "other": ',"rows":['},
    "as_of": "2026-01-01",
    "cost": {"rho": 0.1},
    "keys": [{"name": "rows", "type": "varchar"}],
    "measures": {"m": {"type": "number"}, "rows": {"half_width_95_at": {"100": None}}},
}
ROWS: list[dict[str, Any]] = [
    {"rows": ',"rows":[', "m": {"value": 1.5e300, "low": -0.1, "high": None}},
    {"rows": "ü]}", "m": {"value": 2, "low": 1, "high": 3}},
]


def stored(rows: list[dict[str, Any]]) -> StoredRelease:
    texts = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    body = views.release_body(CORE, texts)
    return StoredRelease("r", "d", "q", "v", "dv", NOW, NOW, body)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []])
def test_what_is_stored_is_the_json_of_the_whole(rows: list[dict[str, Any]]) -> None:
    assert json.loads(stored(rows).body) == CORE | {"rows": rows}
    assert views.head(stored(rows).body) == CORE


@pytest.mark.parametrize("mark", [{}, {"sandbox": True}])
@pytest.mark.parametrize("rows", [ROWS, []])
def test_what_is_sent_without_reading_the_rows_is_what_reading_them_would_give(
    rows: list[dict[str, Any]], mark: dict[str, bool]
) -> None:
    sent = views.release(stored(rows), replayed=True, budget_now={"rho": 1.0}, mark=mark)
    assert sent.json == json.dumps(sent.body, ensure_ascii=False, separators=(",", ":")).encode()
    assert sent.body == mark | CORE | {"replayed": True, "budget": {"rho": 1.0}, "rows": rows}
    names = list(sent.body)
    assert names[names.index("as_of") + 1] == "replayed"
    assert names[names.index("cost") + 1] == "budget"


def test_its_text_shows_no_row() -> None:
    sent = views.release(stored(ROWS), replayed=True, budget_now={}, mark={})
    assert "1.5e" not in repr(sent)


@pytest.mark.parametrize("body", [b"{}", b'{"a":1}', b'{"a":1,"rows":[1]'])
def test_what_is_no_stored_release_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="no stored release"):
        views.head(body)


# -- large ones ------------------------------------------------------------------------------------------------------

MANY = [{"rows": ',"rows":[ü', "place": place, "m": {"value": 7919 * place % 1013}} for place in range(40_000)]


@pytest.fixture(scope="module")
def large() -> StoredRelease:
    return stored(MANY)


def test_a_large_release_is_stored_deflated_and_is_the_same_when_it_is_read(large: StoredRelease) -> None:
    text = json.dumps(CORE | {"rows": MANY}, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(text) > 2 * PIECE
    assert is_packed(large.body)
    assert len(large.body) < len(text) / 2
    assert b"".join(unpacked(large.body)) == text
    assert views.whole(large.body) == CORE | {"rows": MANY}
    assert views.head(large.body) == CORE


def test_a_large_release_is_sent_in_pieces_as_reading_it_would_give_it(large: StoredRelease) -> None:
    sent = views.release(large, replayed=False, budget_now={"rho": 1.0}, mark={})
    assert sent.large
    assert not views.release(stored(ROWS), replayed=False, budget_now={}, mark={}).large
    pieces = list(sent.pieces())
    assert max(map(len, pieces)) <= PIECE
    assert b"".join(pieces) == sent.json == json.dumps(sent.body, ensure_ascii=False, separators=(",", ":")).encode()
    assert sent.body["rows"] == MANY


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_body_is_deflated_from_one_mebibyte_on(size: int) -> None:
    text = b'{"a":"' + b"b" * (size - 8) + b'"}'
    body = packed(text[at : at + 1000] for at in range(0, size, 1000))
    assert is_packed(body) == (size >= PIECE)
    assert b"".join(unpacked(body)) == text


def test_a_large_body_that_was_cut_short_or_changed_is_not_read(large: StoredRelease) -> None:
    middle = len(large.body) // 2
    changed = large.body[:middle] + bytes([large.body[middle] ^ 1]) + large.body[middle + 1 :]
    for broken in (large.body[:-1], large.body[:middle], changed, large.body + b"}"):
        with pytest.raises(ValueError, match="a stored release"):
            b"".join(unpacked(broken))
