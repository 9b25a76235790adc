"""Exact answers, values of rows, tokens, parameters and stack traces: in no answer and in no log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from api_routes import TABLE, ask
from api_town import MARKER, ROLES, Town, exact_spend

from dpstats.formats import Format

SINCE = "2017-01-09"


class Everything(logging.Handler):
    """Keeps every log record whole, with its exception."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter("%(name)s %(levelname)s %(message)s").format(record) + f"\n{record.__dict__}\n"


@pytest.fixture
def logged() -> Iterator[Everything]:
    """All that any library logs, at any level."""
    handler = Everything()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(0)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


def everything_asked(town: Town) -> str:
    """Every route, every format, answers and refusals, with all that comes back."""
    seen = []
    parameters = {"parameters": {"since": SINCE}}
    made = town.run(json=parameters)
    for route in TABLE:
        seen += [ask(town, route, role) for role in (None, *ROLES)]
    for form in Format:
        seen.append(town.run(json=parameters, headers={"Accept": form.media_type}))
    for wrong in ({"since": "yesterday"}, {"until": SINCE, "since": SINCE}, {"x": 1}):
        seen.append(town.run(json={"parameters": wrong}))
    seen += [
        made,
        town.run("by_shop"),
        town.run("boats"),
        town.run("costly"),
        town.run("costly", json={"reuse": "never"}),
    ]
    return "\n".join(f"{answer.headers}\n{answer.content!r}\n{answer.text}" for answer in seen)


def test_no_row_is_in_any_answer_or_log(town: Town, logged: Everything) -> None:
    sent = everything_asked(town)
    assert "spend_low" in sent
    for text in (sent, logged.text):
        for secret in (*exact_spend(), MARKER, "Traceback"):
            assert secret not in text


def test_no_token_or_parameter_or_query_string_is_in_a_log(town: Town, logged: Everything) -> None:
    everything_asked(town)
    town.ask("GET", f"/v1/releases?cursor={MARKER}", role="analyst")
    town.ask("GET", f"/v1/{MARKER}", role="analyst")
    ours = [line for line in logged.text.splitlines() if line.startswith("dpstats.api ")]
    assert len(ours) > 100
    for role in ROLES:
        assert town.token(role) not in logged.text
    for line in ours:
        assert MARKER not in line
        assert SINCE not in line
        assert "spend_by_band" not in line


def test_an_access_line_names_method_route_status_time_and_request(town: Town, logged: Everything) -> None:
    answer = town.ask("GET", "/v1/datasets/town", role="analyst")
    line = next(line for line in logged.text.splitlines() if line.startswith("dpstats.api "))
    assert line.startswith("dpstats.api INFO GET /v1/datasets/{dataset} 200 ")
    assert line.endswith(f" ms {answer.headers['Dpstats-Request']}")


def test_an_unexpected_exception_tells_its_kind_to_the_log_and_nothing_to_the_caller(
    town: Town, logged: Everything
) -> None:
    def boom() -> None:
        raise RuntimeError(f"row {MARKER} has spent {exact_spend()[0]}")

    town.app.add_api_route("/v1/boom", boom)
    answer = town.ask("GET", "/v1/boom", role="analyst")
    request_id = answer.headers["Dpstats-Request"]
    assert answer.status_code == 500
    assert answer.json()["request_id"] == request_id
    assert f"GET /v1/boom failed: RuntimeError, {request_id}" in logged.text
    for text in (answer.text, logged.text):
        assert MARKER not in text
        assert exact_spend()[0] not in text
        assert "Traceback" not in text


def test_a_failure_while_rows_are_read_tells_nothing_and_stays_charged(town: Town, logged: Everything) -> None:
    before = town.run("costly").status_code
    data = next((town.workspace.home / "data" / "harbour").glob("*.duckdb"))
    data.write_bytes(MARKER.encode() * 1000)
    answer = town.run("boats")
    assert (before, answer.status_code, answer.json()["type"]) == (201, 503, "/problems/unavailable")
    for text in (answer.text, logged.text):
        assert MARKER not in text
        assert str(data.parent) not in text


def test_a_town_without_noise_would_be_noticed() -> None:
    """The search looks for what an exact answer would show."""
    assert exact_spend()[0] == "26374.26"
    assert all("." in total for total in exact_spend())
