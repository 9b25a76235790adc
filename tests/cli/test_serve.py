"""The service as a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from cli_running import PROCESS, Run, run_here

from dpstats.client import Client


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_address_is_printed_once_it_answers_and_a_signal_ends_it(shop: Path, dpstats: Run, stop: int) -> None:
    token = dpstats("token", "create", "ann", "--role", "analyst").done().out.strip()
    command = [*PROCESS, "--home", str(shop / "home"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("serving at ").strip()
        queries = httpx.get(f"{address}/v1/queries", headers={"Authorization": f"Bearer {token}"}).json()
        server.send_signal(stop)
        out, err = server.communicate(timeout=30)
    assert [item["query"] for item in queries["items"]] == ["by_town"]
    assert server.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err


def test_a_sandbox_serves_beside_the_workspace_and_is_gone_when_it_ends(shop: Path, dpstats: Run) -> None:
    real = dpstats("token", "create", "ann", "--role", "analyst").done().out.strip()
    command = [*PROCESS, "--home", str(shop / "home"), "serve", "--sandbox", "--workers", "2", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(shop)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("serving at ").strip()
        server.stdout.readline()
        role, token = server.stdout.readline().split()
        made = list(shop.glob("dpstats-sandbox-*"))
        with Client(address, token) as client:
            release = client.run("by_town")
        refused = httpx.get(f"{address}/v1/queries", headers={"Authorization": f"Bearer {real}"})
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=60)
    assert role == "analyst"
    assert release.sandbox
    assert refused.status_code == 401
    assert server.returncode == 0, err
    assert len(made) == 1
    assert list(shop.glob("dpstats-sandbox-*")) == []
    entries = json.loads(dpstats("ledger", "list", "shop", "--json").done().out)["entries"]
    assert [entry["kind"] for entry in entries] == ["grant"]


def test_a_sandbox_of_what_is_not_there_is_refused(shop: Path) -> None:
    run_here("--home", shop / "nowhere", "serve", "--sandbox").refused("no workspace")
    run_here("--home", shop / "home", "serve", "--sandbox", "--files", shop / "nowhere").refused("no such folder")
    run_here("--home", shop / "home", "serve", "--files", shop).wrong_usage("goes with --sandbox")


def test_an_address_that_cannot_be_had_is_refused(dpstats: Run) -> None:
    dpstats("serve", "--host", "192.0.2.1", "--port", "0").refused("192.0.2.1")


def test_a_setting_that_is_misspelt_is_told_before_anything_is_served(
    dpstats: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPSTATS_RATE_PER_MINUT", "60")
    ran = dpstats("serve", "--host", "192.0.2.1", "--port", "0")
    told, refused = ran.err.splitlines()
    assert told.startswith("DPSTATS_RATE_PER_MINUT is no setting")
    assert "192.0.2.1" in refused
