"""A sandbox is the whole service, is made of no row, says what it is, and leads nowhere."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from api_routes import TABLE
from api_town import BANDS, MARKER, ME, Town, opened
from typer.testing import CliRunner

from dpstats.api.marked import HEADER, LINE
from dpstats.api.renewals import renew_due
from dpstats.cli.main import app
from dpstats.client import Client, errors
from dpstats.errors import DpstatsError, FileError
from dpstats.formats import Format
from dpstats.sandbox.made import ROLES, Sandbox, sandbox
from dpstats.sandbox.texts import of_folder, of_workspace
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.sandbox import MARK


def files_of(home: Path) -> Mapping[str, tuple[bytes, int]]:
    """Every file of a folder: what is in it and when it was written."""
    return {
        str(file.relative_to(home)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted(home.rglob("*"))
        if file.is_file() and not file.name.endswith(("-shm", "-wal"))
    }


def test_it_is_made_with_no_data_at_all_and_leaves_the_workspace_as_it_was(real_home: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(real_home, tmp_path / "home"))
    shutil.rmtree(home / "data")
    (home / "bounding.key").unlink()
    (home / "ledger.key").unlink()
    before = files_of(home)
    with (
        sandbox(read_settings(home=home), of_workspace(home, "")) as box,
        opened(box.settings.home, tmp_path) as town,
    ):
        assert town.run(role="steward").status_code == 201
    assert files_of(home) == before
    assert not box.settings.home.exists()


def test_the_client_works_unchanged(sandbox_town: Town) -> None:
    with Client("http://town", sandbox_town.token("analyst"), transport=sandbox_town.transport) as client:
        assert [item["dataset"] for item in client.datasets()] == ["harbour", "town"]
        assert client.preview("spend_by_band")["cost"]["rho"] == 0.03
        release = client.run("spend_by_band", since="2017-01-01")
        assert release.sandbox
        assert sorted(row["band"] for row in release.rows) == sorted(BANDS)
        assert client.run("spend_by_band", since="2017-01-01").replayed
        with pytest.raises(errors.NotApproved):
            client.run("draft")
        with pytest.raises(errors.InvalidParameters):
            client.run("spend_by_band", since="2031-01-01")


def test_feature_views_are_there_and_renewed(sandbox_town: Town) -> None:
    with Client("http://town", sandbox_town.token("job"), transport=sandbox_town.transport) as client:
        assert [item["view"] for item in client.feature_views()] == ["bands"]
        renew_due(sandbox_town.workspace, threading.Event())  # as its service does, by its settings
        table = client.features("bands")
        assert sorted(row["band"] for row in table.rows) == sorted(BANDS)


def test_its_versions_and_prices_are_those_of_the_workspace(sandbox_town: Town, real_home: Path) -> None:
    with opened(real_home, real_home.parent / "files") as town:
        real = {item["query"]: item for item in town.workspace.review.all(ME, approved_only=False)}
        price = {name: town.workspace.releases.preview(ME, name, {})["cost"] for name in ("spend_by_band", "boats")}
    for item in sandbox_town.workspace.review.all(ME, approved_only=False):
        assert item["query_version"] == real[item["query"]]["query_version"]
        assert item["approved"] == real[item["query"]]["approved"]
    for name, cost in price.items():
        assert sandbox_town.workspace.releases.preview(ME, name, {})["cost"] == cost


def test_it_has_the_largest_budget_and_spends_nobody_s(sandbox_town: Town, real_home: Path) -> None:
    with opened(real_home, real_home.parent / "files") as town:
        spent = town.budget()["rho_spent"]
        sandbox_town.run(role="analyst", json={"reuse": "never"})
        assert town.budget()["rho_spent"] == spent
    assert sandbox_town.budget()["epsilon"] == 1000
    assert sandbox_town.budget("harbour")["epsilon"] == 1000


@pytest.mark.parametrize("role", [None, "analyst", "steward"])
def test_every_route_s_answer_says_what_it_is(sandbox_town: Town, role: str | None) -> None:
    for (method, route), case in TABLE.items():
        path = case.path.format(release="none", version=f"sha256:{'0' * 64}")
        answer = sandbox_town.ask(method, path, role=role, json=case.body)
        assert answer.headers[HEADER] == "true", route
        _says_sandbox(answer, route)


def _says_sandbox(answer: httpx.Response, route: str) -> None:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if route == "/openapi.json":
        assert "sandbox" in answer.json()["info"]["title"]
    elif kind.endswith("json"):
        assert answer.json()["sandbox"] is True, route
    elif kind == "text/html":
        assert answer.content.count(LINE) == 1, route
        assert "<title>Sandbox: " in answer.text, route


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1/queries/nothing", "/problems/nothing"])
def test_what_is_not_there_says_what_it_is_too(sandbox_town: Town, path: str) -> None:
    for role in (None, "analyst"):
        answer = sandbox_town.ask("GET", path, role=role)
        assert answer.status_code in (401, 404)
        assert answer.headers[HEADER] == "true"
        assert answer.json()["sandbox"] is True


def test_a_release_says_so_in_every_format(sandbox_town: Town) -> None:
    for form in Format:
        answer = sandbox_town.run(role="analyst", headers={"Accept": form.media_type})
        assert json.loads(answer.headers["Dpstats-Release"])["sandbox"] is True
        if form is Format.CSV:
            assert {row["sandbox"] for row in csv.DictReader(io.StringIO(answer.text))} == {"true"}
        if form is Format.ARROW:
            with pa.ipc.open_stream(answer.content) as reader:
                assert json.loads(reader.schema.metadata[b"dpstats"])["sandbox"] is True


def test_a_wide_table_says_so_in_every_format(sandbox_town: Town) -> None:
    body = {"queries": ["spend_by_band"], "parameters": {}}
    for form in Format:
        answer = sandbox_town.ask("POST", "/v1/features", role="job", json=body, headers={"Accept": form.media_type})
        assert json.loads(answer.headers["Dpstats-Release"])["sandbox"] is True
        if form is Format.CSV:
            assert {row["sandbox"] for row in csv.DictReader(io.StringIO(answer.text))} == {"true"}
        if form is Format.ARROW:
            with pa.ipc.open_stream(answer.content) as reader:
                assert json.loads(reader.schema.metadata[b"dpstats"])["sandbox"] is True


def test_a_browser_signed_in_to_both_on_one_host_stays_signed_in_to_both(sandbox_town: Town, real_home: Path) -> None:
    with (
        opened(real_home, real_home.parent / "files") as town,
        town.browser(town.token("steward")) as real,
        sandbox_town.browser() as invented,
    ):
        invented.cookies.update(real.cookies)
        assert invented.get("/welcome").status_code == 401
        assert "has ended" not in invented.get("/welcome").text
        assert invented.post("/sign-in", data=invented.fields(token=sandbox_town.token("steward"))).status_code == 303
        real.cookies.update(invented.cookies)
        assert (invented.get("/welcome").status_code, real.get("/welcome").status_code) == (200, 200)


def test_a_real_service_says_nothing_of_the_kind(real_home: Path) -> None:
    with opened(real_home, real_home.parent / "files") as town:
        for path in ("/", "/health/live", "/v1/queries", "/openapi.json"):
            answer = town.ask("GET", path, token=None)
            assert HEADER not in answer.headers
            assert "sandbox" not in answer.text.lower()
        assert not town.workspace.sandbox


def test_tokens_of_one_are_nobody_s_in_the_other(sandbox_town: Town, box: Sandbox, real_home: Path) -> None:
    assert sorted(box.tokens) == sorted(ROLES)
    with opened(real_home, real_home.parent / "files") as town:
        real = town.workspace.tokens.create(ME, "somebody", "steward")
        try:
            assert sandbox_town.ask("GET", "/v1/datasets", token=real).status_code == 401
            for token in box.tokens.values():
                assert town.ask("GET", "/v1/datasets", token=token).status_code == 401
        finally:
            town.workspace.tokens.revoke(ME, "somebody")


def test_its_settings_lead_to_nothing_of_the_real_service(real_home: Path) -> None:
    issuer = {"oidc_issuer": "https://issuer.example", "oidc_audience": "dpstats"}
    # Nothing listens there: a sandbox that asked this server for its ledger could not be made.
    real = read_settings(home=real_home, ledger_url="postgresql+psycopg://nobody@127.0.0.1:1/none", **issuer)
    with sandbox(real, of_workspace(real_home, "")) as box:
        assert box.settings.home != real.home
        assert box.settings.ledger_url.get_secret_value() == ""
        assert (box.settings.oidc_issuer, box.settings.oidc_audience) == ("", "")


def test_nothing_of_a_row_is_in_it(box: Sandbox, sandbox_town: Town) -> None:
    sandbox_town.run(role="analyst")
    for file in box.settings.home.rglob("*"):
        if file.is_file():
            assert MARKER.encode() not in file.read_bytes()


def test_whoever_opens_its_folder_finds_the_mark(box: Sandbox) -> None:
    assert (box.settings.home / MARK).exists()
    assert box.settings.home.stat().st_mode & 0o077 == 0
    workspace = Workspace.open(box.settings)
    assert workspace.sandbox
    workspace.close()


def test_the_command_line_says_so_too(box: Sandbox) -> None:
    home = ["--home", str(box.settings.home)]
    assert "SANDBOX" in CliRunner().invoke(app, [*home, "query", "run", "spend_by_band"]).stdout
    assert json.loads(CliRunner().invoke(app, [*home, "query", "run", "boats", "--format", "json"]).stdout)["sandbox"]


def test_nothing_is_packed_before_it_is_marked(sandbox_town: Town) -> None:
    answer = sandbox_town.ask("GET", "/v1/queries", role="analyst", headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in answer.headers
    assert answer.json()["sandbox"] is True


def test_a_folder_of_files_will_do(real_home: Path, tmp_path: Path) -> None:
    files = real_home.parent / "files"
    (tmp_path / "town").mkdir()
    with pytest.raises(FileError, match="no YAML file"):
        of_folder(tmp_path)
    for name in ("spend_by_band", "draft"):
        shutil.copy(files / f"{name}.yaml", tmp_path / "town" / f"{name}.yaml")
    with pytest.raises(FileError, match=r"no dataset\.yaml"):
        of_folder(tmp_path)
    shutil.copy(files / "town.yaml", tmp_path / "town" / "dataset.yaml")
    texts = of_folder(tmp_path)
    assert list(texts.datasets) == ["town"]
    assert texts.approved == {"spend_by_band", "draft"}
    (tmp_path / "town" / "draft.yaml").write_text("query: draft\n", encoding="utf-8")
    with pytest.raises(DpstatsError, match=r"draft\.yaml"):
        of_folder(tmp_path)


def test_a_workspace_without_datasets_is_refused(tmp_path: Path) -> None:
    Workspace.open(read_settings(home=tmp_path / "empty")).close()
    with pytest.raises(FileError, match="no dataset is registered"):
        of_workspace(tmp_path / "empty", "")
