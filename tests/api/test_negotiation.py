"""A release comes in the format that was asked for, or not at all; what does not come is not charged."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api_town import BANDS, Town
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.api.negotiation import chosen
from dpstats.api.problems import RequestRefused
from dpstats.formats import Format

COLUMNS = ["band"] + [f"{name}{end}" for name in ("households", "spend", "mean") for end in ("", "_low", "_high")]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("application/*", Format.JSON),
        ("text/*", Format.CSV),
        ("TEXT/CSV", Format.CSV),
        ("text/csv; header=present", Format.CSV),
        ("text/html, */*;q=0.1", Format.JSON),
        ("application/json;q=0.1, text/*;q=0.2", Format.CSV),
        ("application/*;q=0.9, application/json;q=0.1, text/csv;q=0.5", Format.ARROW),
        ("application/vnd.apache.parquet, */*;q=0", Format.PARQUET),
        ("application/json;q=0, */*", Format.CSV),
        ("text/csv;q=high, application/json;q=0.001", Format.JSON),
    ],
)
def test_the_best_of_what_is_accepted_is_sent(accept: str, form: Format) -> None:
    assert chosen(accept) is form


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/json;q=0", "*/*;q=0.000", "json", "text", "application/json;q=2", ",", "image/*"],
)
def test_what_is_accepted_but_not_offered_is_refused(accept: str) -> None:
    with pytest.raises(RequestRefused, match="text/csv"):
        chosen(accept)


@settings(deadline=None)
@given(st.permutations(list(Format)), st.lists(st.sampled_from(["text/html", "image/png;q=0.9", "a/b;q=x"])))
def test_falling_qualities_are_obeyed_in_any_order_and_company(wanted: list[Format], others: list[str]) -> None:
    ranges = [f"{form.media_type}; q={1 - place / 10:.1f}" for place, form in enumerate(wanted)]
    assert chosen(", ".join(sorted([*ranges, *others]))) is wanted[0]


def test_every_format_holds_the_same_release(quiet_town: Town) -> None:
    release = quiet_town.run().json()
    cells = [
        [row["band"], *(row[name][end] for name in ("households", "spend", "mean") for end in ("value", "low", "high"))]
        for row in release["rows"]
    ]
    rest = {name: value for name, value in release.items() if name != "rows"} | {"replayed": True}
    for form in Format:
        for answer in (
            quiet_town.run(headers={"Accept": form.media_type}),
            quiet_town.ask(
                "GET",
                f"/v1/releases/{release['release_id']}",
                role="analyst",
                headers={"Accept": form.media_type},
            ),
        ):
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].partition(";")[0] == form.media_type
            assert answer.headers["Vary"] == "Accept"
            assert json.loads(answer.headers["Dpstats-Release"]) == rest
            table, metadata = read(form, answer.content)
            assert table == cells
            assert metadata in (None, rest)


def read(form: Format, body: bytes) -> tuple[list[list[object]], object]:
    """The cells of a release in a format, and what is beside them."""
    if form is Format.JSON:
        release = json.loads(body)
        rest = {name: value for name, value in release.items() if name != "rows"}
        names = list(release["measures"])
        return [
            [row["band"], *(row[name][end] for name in names for end in ("value", "low", "high"))]
            for row in release["rows"]
        ], rest
    if form is Format.CSV:
        head, *rows = csv.reader(io.StringIO(body.decode(), newline=""))
        assert head == COLUMNS
        return [[row[0], *(json.loads(cell) for cell in row[1:])] for row in rows], None
    table = pq.read_table(io.BytesIO(body)) if form is Format.PARQUET else pa.ipc.open_stream(body).read_all()
    assert table.column_names == COLUMNS
    assert [str(kind) for kind in table.schema.types] == ["string", *["int64"] * 3, *["double"] * 6]
    return [list(row.values()) for row in table.to_pylist()], json.loads(table.schema.metadata[b"dpstats"])


def test_the_header_is_plain_ascii_whatever_the_names_are(quiet_town: Town) -> None:
    answer = quiet_town.run()
    raw = dict(answer.headers.raw)[b"dpstats-release"]
    assert raw.isascii()
    assert b"\n" not in raw
    assert any(not band.isascii() for band in BANDS)


def test_a_format_that_is_not_there_is_refused_before_it_is_paid_for(town: Town) -> None:
    answer = town.run(headers={"Accept": "application/xml"})
    assert answer.status_code == 406
    assert "Dpstats-Release" not in answer.headers
    assert town.charges() == 0
