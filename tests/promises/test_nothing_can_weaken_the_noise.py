"""No seed, no debug mode, no switch: what can be set from outside is on a list, and nothing on it makes noise smaller.

Every setting, option, request field, file key and parameter of the noise stands in a list of `surface.py`. One more
fails a test until somebody adds it there: that is the moment to ask what it does to noise, price or bounds.
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
from surface import (
    ALLOWED_THERE,
    ASKED_OVER_HTTP,
    ENVIRONMENT,
    FILE_KEYS,
    IN_THE_NOISE_S_ROOMS,
    MODULES_OF_CHANCE_AND_TESTS,
    NAMES_ONLY_A_TEST_WOULD_NEED,
    OPTIONS,
    PARAMETERS,
    SETTINGS,
)

import dpstats
from dpstats.api.app import create_app
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.fields import FileModel
from dpstats.catalog.query import QueryFile
from dpstats.cli.main import app as command_line
from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import Noise
from dpstats.settings import Settings, read_settings
from dpstats.workspace import Workspace

PACKAGE = Path(dpstats.__file__).parent

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
        "floor",  # withholds numbers by their own noise
        "top",
        "at_rest",  # another way to the same exact answer: what is drawn and charged knows nothing of it
        "by_unit",  # into which passes the same exact answer may be divided
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
