"""No seed, no debug mode, no switch: what can be set from outside is on a list, and nothing on it makes noise smaller.

Every setting, option, request field, file key and parameter of the noise stands in a list below. One more fails a test
until somebody adds it here: that is the moment to ask what it does to the noise, the price or the bounds.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import dpstats
from dpstats.api.app import create_app
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.fields import FileModel
from dpstats.catalog.query import QueryFile
from dpstats.cli.main import app as command_line
from dpstats.engine import duck, noise
from dpstats.engine.versions import Engines
from dpstats.library import Library
from dpstats.plan.plan import Draw, Plan, Threshold
from dpstats.privacy import mechanism, selection, threshold
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity
from dpstats.release import Ask, Road
from dpstats.settings import Settings, read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.selftest import failed_checks, self_test

PACKAGE = Path(dpstats.__file__).parent

# -- the lists -------------------------------------------------------------------------------------------------------

SETTINGS = {
    "home",
    "ledger_url",
    "host",
    "port",
    "workers",
    "memory_limit_mb",
    "threads",
    "deadline_s",
    "log_format",
    # Who is told that a request came, and when: never of rows.
    "traces",
    "business",
    "contact",
    "token_expires",
    "oidc_issuer",
    "oidc_audience",
    "oidc_role_claim",
    "oidc_datasets_claim",
    "releases_at_once",
    "releases_waiting",
    "rate_per_minute",
    "latency_step_ms",
    # When consent takes effect, and how old it may be: they decide who is counted, never how.
    "consent_epoch_at",
    "consent_max_age",
    # Who is told of clocks and of people's wishes: nothing about an answer.
    "webhooks",
    # How often the service does what `dpstats refresh` does, within the same envelopes.
    "refresh_every",
}

OPTIONS = {
    # Which lines of the log of who asked what are listed.
    "--actor",
    "--query",
    # Who is given data at all, by a contract: never what they are given.
    "--accepts-terms",
    "--after",
    "--agent",
    "--append",
    # Above which two stewards are asked for: who may raise a budget or approve, never the price or the noise.
    "--approvals-above",
    # What a load brought, for what feature views are renewed: rows and their bounds go by the file alone.
    "--blocks",
    # Of a measurement in workspaces of its own: how many charge at once, and how long its ledger is.
    "--callers",
    "--cap-rho",
    "--dataset",
    "--due",
    # Of a cap on what a role or a purpose may charge: the budget itself stays as it is.
    "--end",
    "--entries",
    "--epsilon",
    # What the business keeps of a deletion elsewhere: here everything of the person is erased all the same.
    "--except",
    "--expires",
    "--export",
    # With --sandbox alone: which files the invented data are made of. Their noise is that of any workspace.
    "--files",
    "--features",
    "--format",
    "--fresh",
    "--grace",
    "--grants-above",
    "--head",
    "--home",
    "--host",
    # The shell's completion: it looks names up in the register, and reads nothing else.
    "--install-completion",
    "--json",
    # Which notice is written.
    "--kind",
    "--level",
    "--keys",
    "--method",
    "--new-lineages",
    "--no-new-lineages",
    "--no-sensitive",
    "--once",
    "--out",
    "--parameter",
    "--port",
    "--prune",
    # Whose charges a cap is for; a query's own purpose is in its approved file.
    "--purpose",
    "--reason",
    "--rho",
    "--role",
    "--requests",
    "--rows",
    "--runs",
    # Another workspace, of invented data: the noise is the same, and no one's rows are in it.
    "--sandbox",
    "--seconds",
    "--sensitive",
    # What a correction puts in a person's own rows, as a corrected source would: bounds and noise are the same.
    "--set",
    "--show-completion",
    "--segments",
    "--source",
    "--table",
    "--version",
    # Whether somebody who asks a third time what is held of them is answered.
    "--waive",
    "--where",
    "--workers",
    # Of people's requests, in numbers of requests.
    "--year",
    "--yes",
    "-p",
}

ASKED_OVER_HTTP = {
    "DELETE /v1/queries/{query}/approvals/{version}": {"query", "version"},
    "GET /v1/datasets/{dataset}": {"dataset"},
    "GET /v1/datasets/{dataset}/budget": {"dataset"},
    "GET /v1/datasets/{dataset}/ledger": {"dataset", "after", "limit"},
    "GET /v1/datasets/{dataset}/spending": {"dataset"},
    "GET /v1/features/{view}": {"view", "If-None-Match"},
    "GET /v1/features/{view}/segments": {"view"},
    "GET /v1/log": {"after", "actor", "query"},
    "GET /v1/queries/{query}": {"query"},
    "GET /v1/releases": {"dataset", "query", "cursor", "limit"},
    "GET /v1/releases/{release_id}": {"release_id"},
    # Consent decides whose rows are counted from the next epoch on; what it moves is within one unit's rows.
    "POST /v1/consent/events": {
        "events",
        "dataset",
        "unit",
        "purpose",
        "decision",
        "event_id",
        "source",
        "observed_at",
        "confirms",
        "nonce",
        # What the person was shown: kept, and looked at by nothing that counts anybody.
        "notice_version",
        "notice_sha256",
        "language",
        "method",
    },
    "POST /v1/consent/state": {"dataset", "unit"},
    "POST /v1/consent/signals": {"dataset", "units", "gpc", "gpp", "observed_at", "event_id"},
    "POST /v1/datasets/{dataset}/budget/grants": {"dataset", "rho", "epsilon", "reason"},
    # What a role or a purpose may charge of the budget: a cap takes away, and never adds.
    "GET /v1/datasets/{dataset}/budget/caps": {"dataset"},
    "PUT /v1/datasets/{dataset}/budget/caps": {"dataset", "role", "purpose", "rho", "epsilon", "end", "reason"},
    # What one steward proposed: a budget is raised by two, the noise of a charge by nobody.
    "POST /v1/proposals/{proposal_id}/confirm": {"proposal_id"},
    "POST /v1/proposals/{proposal_id}/decline": {"proposal_id"},
    "POST /v1/features": {"queries", "parameters"},
    "POST /v1/releases/{release_id}/withdrawal": {"release_id", "reason"},
    "POST /v1/queries/{query}/approvals": {"query", "version"},
    "POST /v1/queries/{query}/preview": {"query", "parameters"},
    "POST /v1/queries/{query}/releases": {"query", "parameters", "reuse", "Idempotency-Key"},
    # Requests of people about their own data: they take rows out of a data version, as a load does.
    "GET /v1/rights/packages/{secret}": {"secret"},
    "GET /v1/rights/requests/{request_id}": {"request_id"},
    "POST /v1/rights/requests": {"type", "dataset", "unit", "agent", "permission", "waive"},
    "POST /v1/rights/requests/{request_id}/confirm": {"request_id"},
    "POST /v1/rights/requests/{request_id}/deny": {"request_id", "reason"},
    "POST /v1/rights/requests/{request_id}/execute": {
        "request_id",
        "correction",
        "table",
        "set",
        "where",
        "exceptions",
    },
    "POST /v1/rights/requests/{request_id}/extend": {"request_id", "reason"},
    "POST /v1/rights/requests/{request_id}/verify": {"request_id", "level", "method"},
    # Terms decide who is given data at all.
    "POST /v1/terms/acceptance": {"version"},
    "PUT /v1/datasets/{dataset}/frozen": {"dataset", "frozen"},
}

FILE_KEYS = {
    # Who is sent what is due, and people's wishes; no answer goes there.
    "AlarmsTo": {"url", "secret_file"},
    "RecipientSpec": {"url", "secret_file", "name", "datasets", "told"},
    "WebhooksFile": {"alarms", "recipients"},
    # A block's budget is a cap beside the dataset's, never instead of it.
    # Late rows of an append are dropped one by one, by their own time: that moves no bound, price or noise.
    "Blocks": {"column", "every", "budget", "late_rows"},
    "BudgetSpec": {"epsilon", "delta"},
    "Column": {
        "type",
        "bounds",
        "values",
        "unit",
        "category",
        "purposes",
        "why",
        "sensitive",
        "retention",
        "never_disclose",
        "bounds_why",
        "values_why",
    },
    "Contribution": {"max_groups", "max_rows", "max_norm"},
    "CostAccuracy": {"accuracy"},
    "CostEpsilon": {"epsilon"},
    "CostRho": {"rho"},
    "DatasetFile": {
        "dataset",
        "title",
        "description",
        "privacy_unit",
        "budget",
        "blocks",
        "fresh_for",
        "approvals_expire",
        "max_rows_per_unit",
        "min_units",
        "links",
        "lineage",
        "purposes",
        "tables",
    },
    "DateParameter": {"type", "min", "max", "default"},
    "DeclaredKeys": {"values"},
    "EnumParameter": {"type", "values", "default"},
    # A view stands releases side by side: it has no SQL, bound or price, and its envelope only refuses.
    "FeatureView": {
        "view",
        "dataset",
        "title",
        "description",
        "segment",
        "queries",
        "parameters",
        "blocks",
        "rename",
        "per",
        "refresh",
        "max_age",
        "reliability",
        "monthly",
    },
    "IntegerParameter": {"type", "min", "max", "default"},
    "KeysFrom": {"table", "column"},
    "LateRows": {"drop_after"},
    "Monthly": {"rho", "epsilon"},
    "PrivateKeys": {"private", "delta"},
    # They decide who is counted, never how: a basis lets sensitive columns be read without consent, at the same noise.
    "Purpose": {"title", "consent", "kind", "basis_7027m"},
    "QueryFile": {
        "query",
        "dataset",
        "title",
        "description",
        "tags",
        "purpose",
        "sql",
        "parameters",
        "keys",
        "bounds",
        "contribution",
        "candidates",
        "weights",
        "window",
        "cost",
        "fresh_for",
        "cadence",
        "why",
    },
    "Table": {"public", "one_row_per_unit", "retention_by", "columns"},
    "Window": {"from", "until"},
}

PARAMETERS: dict[Callable[..., Any], tuple[str, ...]] = {
    # Among whose keys the idempotency key counts: whose charge is taken up, never what it buys.
    Ask: ("identity", "query", "parameters", "fresh", "idempotency_key", "key_shared_by"),
    Draw: ("index", "name", "kind", "grid", "mechanism", "bounding", "quantiles"),
    Engines: ("data_dir", "key", "memory_limit_mb", "threads", "deadline_s", "datasets_open"),
    # Who accepted the terms that recipients are bound by: it refuses, and nothing else.
    Library: ("registry", "recipients"),
    Mechanism: ("noise", "scale", "sensitivity"),
    Road: ("store", "library", "engines", "turns", "grid", "consent_max_age"),
    Road.release: ("self", "ask"),
    Road.release_all: ("self", "asks", "envelope"),
    Sensitivity: ("per_cell", "cells", "norm"),
    Threshold: ("draw", "at", "max_groups", "delta_steps"),
    Workspace.open: ("settings", "check_ledger", "served"),
    duck.DuckEngine.run: ("self", "plan"),
    duck.open_engine: ("path", "key", "memory_limit_mb", "threads", "deadline_s"),
    failed_checks: ("store",),
    mechanism.calibrate: ("noise", "sensitivity", "amount"),
    mechanism.draw: ("mechanism", "exact"),
    mechanism.measurement: ("mechanism",),
    mechanism.price: ("mechanism",),
    mechanism.opendp_measurement: ("noise", "scale", "k"),
    noise.add_noise: ("plan", "exact"),
    selection.select: ("mechanism", "scores", "k"),
    self_test: ("store",),
    threshold.delta_steps: ("units", "max_groups", "at"),
    threshold.tail: ("mechanism", "at_least"),
    threshold.threshold: ("units", "max_groups", "delta", "floor"),
}

ENVIRONMENT = {("cli/main.py", "envvar"), ("settings.py", "BaseSettings"), ("api/metrics.py", "environ")}
"""Where the environment is read: the workspace's folder on the command line, and the settings above.

In a worker it is written once, for `prometheus_client`, which takes the folder of its counters from nowhere else.
"""

NAMES_ONLY_A_TEST_WOULD_NEED = {
    "bypass",
    "debug",
    "deterministic",
    "dry",
    "fake",
    "insecure",
    "mock",
    "monkeypatch",
    "noiseless",
    "override",
    "pretend",
    "reseed",
    "rng",
    "seed",
    "seeded",
    "simulate",
    "stub",
    "unsafe",
}
IN_THE_NOISE_S_ROOMS = NAMES_ONLY_A_TEST_WOULD_NEED | {
    "disable",
    "disabled",
    "factor",
    "force",
    "hook",
    "multiplier",
    "skip",
}
"""Where a name may not even hint at a switch: privacy, engine and the road."""
ALLOWED_THERE = {"disabled_optimizers", "disabled_filesystems"}

MODULES_OF_CHANCE_AND_TESTS = {"random", "numpy", "scipy", "unittest", "mock", "pytest", "hypothesis", "dp_accounting"}
"""Chance comes from OpenDP's sampler and, for ids and keys, from `secrets`."""


# -- what there is ---------------------------------------------------------------------------------------------------


@cache
def sources() -> dict[str, ast.Module]:
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, Any]]:
    for file, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield file, node


def names(node: ast.AST) -> list[str]:
    """The names that a node gives or uses."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.arg(arg=name) | ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.keyword(arg=str(name)):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name for alias in aliases]
        case _:
            return []


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def file_models(model: type[FileModel] = FileModel) -> Iterator[type[FileModel]]:
    for kind in model.__subclasses__():
        if kind.__module__.startswith("dpstats."):
            yield kind
        yield from file_models(kind)


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    workspace = Workspace.open(read_settings(home=tmp_path_factory.mktemp("openapi") / "home"))
    described: dict[str, Any] = create_app(workspace).openapi()
    workspace.close()
    return described


def asked(openapi: dict[str, Any]) -> dict[str, set[str]]:
    """For each operation, everything that a request may hold by name."""
    found = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            fields = {parameter["name"] for parameter in operation.get("parameters", ())}
            for media in operation.get("requestBody", {}).get("content", {}).values():
                fields |= set(properties(openapi, media["schema"]))
            found[f"{method.upper()} {path}"] = fields
    return found


def properties(openapi: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from properties(openapi, openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for either in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from properties(openapi, either)
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from properties(openapi, inner)


def options(command: Any) -> Iterator[tuple[str, bool]]:
    """Every option of a command and the ones below it, and whether it is hidden."""
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield from ((name, parameter.hidden) for name in (*parameter.opts, *parameter.secondary_opts))
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


# -- the surface is the list -----------------------------------------------------------------------------------------


def test_the_settings_are_these() -> None:
    assert set(Settings.model_fields) == SETTINGS


def test_the_command_line_s_options_are_these_and_none_is_hidden() -> None:
    found = dict(options(typer.main.get_command(command_line)))
    assert set(found) == OPTIONS
    assert not any(found.values())


def test_what_requests_may_hold_is_this(openapi: dict[str, Any]) -> None:
    found = {call: fields for call, fields in asked(openapi).items() if fields}
    assert found == ASKED_OVER_HTTP


def test_the_keys_of_the_files_are_these() -> None:
    found = {
        model.__name__: {field.alias or name for name, field in model.model_fields.items()} for model in file_models()
    }
    assert found == FILE_KEYS
    assert {DatasetFile.__name__, QueryFile.__name__} <= FILE_KEYS.keys()


@pytest.mark.parametrize("model", sorted({model.__name__: model for model in file_models()}.items()))
def test_a_key_that_is_on_no_list_is_refused(model: tuple[str, type[FileModel]]) -> None:
    assert model[1].model_config["extra"] == "forbid"


@pytest.mark.parametrize("callable_", list(PARAMETERS), ids=lambda made: made.__qualname__)
def test_the_parameters_between_rows_and_noise_are_these(callable_: Callable[..., Any]) -> None:
    assert tuple(inspect.signature(callable_).parameters) == PARAMETERS[callable_]


def test_the_noises_are_these_and_a_plan_carries_no_switch() -> None:
    assert {str(kind) for kind in Noise} == {
        "discrete_gaussian",
        "discrete_laplace",
        "exponential",
        "permute_and_flip",
    }
    assert {field.name for field in dataclasses.fields(Plan)} == {
        "dataset",
        "query",
        "query_version",
        "parameters",
        "parameter_values",
        "sql",
        "keys",
        "draws",
        "outputs",
        "loss",
        "tables",
        "proof",
        "threshold",
        "top",
    }


# -- what no name may say --------------------------------------------------------------------------------------------


def test_no_name_in_the_package_is_one_that_only_a_test_would_need() -> None:
    found = {(file, name) for file, node in nodes(ast.AST) for name in names(node)}
    assert len(found) > 3000
    assert {(file, name) for file, name in found if words(name) & NAMES_ONLY_A_TEST_WOULD_NEED} == set()


def test_no_name_in_privacy_engine_and_the_road_hints_at_a_switch() -> None:
    rooms = ("privacy/", "engine/", "release.py")
    found = {name for file, node in nodes(ast.AST) if file.startswith(rooms) for name in names(node)}
    assert {"draw", "add_noise", "Road"} <= found
    assert {name for name in found - ALLOWED_THERE if words(name) & IN_THE_NOISE_S_ROOMS} == set()


@pytest.mark.parametrize(
    "name", ["seed", "no_noise_debug", "dryRun", "DEBUG", "set_seed", "MockEngine", "scale_override"]
)
def test_the_words_are_found_in_any_spelling(name: str) -> None:
    assert words(name) & NAMES_ONLY_A_TEST_WOULD_NEED


def test_no_word_of_the_outside_is_one_of_them(openapi: dict[str, Any]) -> None:
    outside = {*SETTINGS, *OPTIONS, *openapi["components"]["schemas"]}
    for schema in openapi["components"]["schemas"].values():
        outside |= set(properties(openapi, schema))
    for keys in (*FILE_KEYS.values(), *ASKED_OVER_HTTP.values()):
        outside |= keys
    assert len(outside) > 100
    assert {name for name in outside if words(name) & IN_THE_NOISE_S_ROOMS} == set()


# -- how the code may reach what is outside of it --------------------------------------------------------------------


def test_the_environment_is_read_for_the_settings_and_nowhere_else() -> None:
    readers = {"environ", "environb", "getenv", "getenvb", "putenv", "envvar", "BaseSettings", "dotenv", "env_file"}
    found = {(file, name) for file, node in nodes(ast.AST) for name in names(node) if name in readers}
    assert found == ENVIRONMENT


def test_no_module_of_chance_or_of_tests_is_imported() -> None:
    imported = {
        (file, name)
        for file, node in nodes(ast.Import, ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert {(file, name) for file, name in imported if set(name.split(".")) & MODULES_OF_CHANCE_AND_TESTS} == set()
    by_name = {
        node.args[0].value for _, node in nodes(ast.Call) if _is_import(node) and isinstance(node.args[0], ast.Constant)
    }
    assert not by_name & MODULES_OF_CHANCE_AND_TESTS


def _is_import(node: ast.Call) -> bool:
    return bool(node.args) and names(node.func) in (["import_module"], ["__import__"])


def test_nothing_asks_whether_it_is_tested() -> None:
    texts = {node.value for _, node in nodes(ast.Constant) if isinstance(node.value, str)}
    assert len(texts) > 1000
    assert not {text for text in texts if "PYTEST" in text.upper() or "unittest" in text}
    used = {name for _, node in nodes(ast.Name, ast.Attribute) for name in names(node)}
    assert not used & {"__debug__", "gettrace", "settrace", "setprofile", "_getframe", "currentframe"}


def test_opendp_s_only_feature_in_use_is_contrib() -> None:
    """Not `floating-point`, whose noise has holes, and not `honest-but-curious`, which takes any function's word."""
    enabled = [node for _, node in nodes(ast.Call) if names(node.func) == ["enable_features"]]
    assert enabled
    assert {ast.unparse(argument) for node in enabled for argument in node.args} == {"'contrib'"}


def test_nothing_is_evaluated_or_patched_at_run_time() -> None:
    calls = {(file, node.func.id) for file, node in nodes(ast.Call) if isinstance(node.func, ast.Name)}
    assert {(file, name) for file, name in calls if name in {"eval", "exec", "compile", "setattr", "delattr"}} == set()
    assert "globals" not in {name for _, name in calls}


# -- python -O -------------------------------------------------------------------------------------------------------


def test_no_guard_is_an_assert() -> None:
    """`python -O` leaves asserts out, so none may be there."""
    assert {(file, node.lineno) for file, node in nodes(ast.Assert)} == set()


@pytest.mark.parametrize("flags", [[], ["-O"], ["-OO"]], ids=lambda flags: " ".join(["python", *flags]))
def test_every_guard_holds_without_asserts(flags: list[str], tmp_path: Path) -> None:
    command = [sys.executable, *flags, str(Path(__file__).parent / "guards.py"), str(tmp_path)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(PACKAGE.parent)}
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *rest = ended.stdout.splitlines()
    assert first == f"asserts are {'off' if flags else 'on'}"
    assert len(rest) >= 20
    assert {line for line in rest if not line.startswith("held: ")} == set()
