"""`dpstats dataset`: what there is to ask about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, note, note_failure, say, show, show_json
from dpstats.cli.session import loading, session_of, values_refused
from dpstats.cli.words import utc

if TYPE_CHECKING:
    from dpstats.workspace.preparing import Prepared

app = typer.Typer(help="Datasets: register, load, prepare, report, list, erased-in-place.")

DatasetPath = Annotated[Path, typer.Argument(metavar="FILE", help="The dataset.yaml.")]
Blocks = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--blocks",
        metavar="FIRST LAST",
        help="The time blocks that the files bring anything new of; others' feature releases stay as they are.",
    ),
]
Notice = Annotated[
    str,
    typer.Option("--notice", metavar="VERSION", help="The notice at collection that the rows were collected under."),
]
Append = Annotated[bool, typer.Option("--append", help="Add the rows to those that are there.")]


@app.command("add")
def add(
    context: typer.Context,
    file: DatasetPath,
    more: inputs.MoreSources = None,
    source: inputs.Sources = None,
    notice: Notice = "",
) -> None:
    """Register a dataset.yaml and load its data; prints the data version."""
    files, session = inputs.sources(source, more), session_of(context)
    known = session.exists
    with session.opened(make=True) as (workspace, me):
        with loading() as progress:
            version = workspace.datasets.add(me, file, files, progress, notice=notice)
        say(version)
        if not known:
            note(f"{workspace.home} is now a workspace")


@app.command("load")
def load(
    context: typer.Context,
    name: inputs.DatasetName,
    more: inputs.MoreSources = None,
    source: inputs.Sources = None,
    append: Append = False,
    blocks: Blocks = None,
    notice: Notice = "",
) -> None:
    """Load new data; prints the data version.

    Tables without a source are carried over from the version before.
    """
    files = inputs.sources(source, more)
    if not files:
        raise typer.BadParameter("name the file of at least one table: TABLE=PATH", param_hint="--source")
    with session_of(context).opened() as (workspace, me):
        with values_refused(), loading() as progress:
            version = workspace.datasets.load(
                me, name, files, append=append, blocks=blocks, progress=progress, notice=notice
            )
        say(version)


@app.command("prepare")
def prepare(context: typer.Context, name: inputs.DatasetName, as_json: inputs.AsJson = False) -> None:
    """Make approved queries fast: keep what bounding decides of them beside the data; answers stay the same.

    The service does so by itself (DPSTATS_PREPARE_EVERY). What is kept goes with its data version.
    """
    with session_of(context).opened() as (workspace, me), loading() as progress:
        done = workspace.preparing.prepare(me, name, progress)
    if as_json:
        show_json({"items": [_prepared(each) for each in done], "next": None})
        return
    heads = ("query", "kept", "size (MiB)", "took (s)")
    rows = tuple((each.query, _kept(each), *_cost(each)) for each in done)
    if rows:
        show(Table(heads, rows, frozenset(heads[2:])))
    else:
        note(f"no query of {name} is approved: `dpstats query approve NAME` approves one")


def _prepared(each: Prepared) -> dict[str, object]:
    made = each.made
    return {
        "query": each.query,
        "kept": each.key,
        "bytes": None if made is None else made.size,
        "seconds": None if made is None else made.seconds,
        "why": each.why,
    }


def _kept(each: Prepared) -> str:
    if each.key is None:
        return f"nothing: {each.why}"
    return "made now" if each.made else "was there"


def _cost(each: Prepared) -> tuple[str, str]:
    return ("", "") if each.made is None else (f"{each.made.size / 2**20:.1f}", f"{each.made.seconds:.1f}")


_CELLS = ("emptied", "out_of_bounds", "unlisted")
"""What a load report counts cells for, by column."""


@app.command("report")
def report(context: typer.Context, name: inputs.DatasetName, as_json: inputs.AsJson = False) -> None:
    """Show what the last load kept and dropped, by table: exact numbers, for this host alone."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.held_data.load_report(me, name)
    if as_json:
        show_json(found)
        return
    say(f"{found['dataset']}, data version {found['data_version']}, loaded {utc(found['as_of'])} UTC")
    tables = found["tables"]
    if tables:
        show(_rows_table({table: counts["rows"] for table, counts in tables.items()}))
    if found["in_place"]:
        show(_in_place_table(found["in_place"]))
    cells = [
        (table, column, *(f"{counts[kind].get(column, 0):,}" for kind in _CELLS))
        for table, counts in tables.items()
        for column in dict.fromkeys(column for kind in _CELLS for column in counts[kind])
        if any(counts[kind].get(column) for kind in _CELLS)
    ]
    if cells:
        say()
        kinds = tuple(kind.replace("_", " ") for kind in _CELLS)
        show(Table(("table", "column", *kinds), tuple(cells), frozenset(kinds)))
    note("these numbers are exact: they are about people, and no release protects them. Keep them on this host.")


def _rows_table(counts: dict[str, dict[str, int]]) -> Table:
    """A row for each table; a reason that dropped nothing anywhere has no column."""
    always = ("read", "carried_over", "kept")
    reasons = [name for name in next(iter(counts.values()), {}) if any(rows[name] for rows in counts.values())]
    shown = [*always, *(name for name in reasons if name not in always)]
    heads = tuple(name.replace("_", " ").replace("nobodys", "nobody's") for name in shown)
    rows = tuple((table, *(f"{rows[name]:,}" for name in shown)) for table, rows in counts.items())
    return Table(("table", *heads), rows, frozenset(heads))


def _in_place_table(noted: dict[str, dict[str, Any]]) -> Table:
    rows = tuple(
        (table, f"{each['files']:,}", f"{each['bytes']:,}", each["version"] or "-") for table, each in noted.items()
    )
    return Table(("read in place", "files", "bytes", "version"), rows, frozenset(("files", "bytes")))


_EARLIER = (
    "earlier versions of a table are not looked at: in Delta Lake and Iceberg, deleted rows go with the owner's VACUUM "
    "or expire_snapshots"
)


@app.command("erased-in-place")
def erased_in_place(context: typer.Context, name: inputs.DatasetName, as_json: inputs.AsJson = False) -> None:
    """List who was erased and is in the files still that tables are read from in place: their owner must erase them."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.held_data.erased_in_place(me, name)
    rows = [(table, each) for table, ids in found["tables"].items() for each in ids]
    if as_json:
        show_json(found)
    elif rows:
        show(Table(("table", "id"), tuple(rows)))
        note("these are ids of people who were erased: keep them on this host.")
        note(_EARLIER)
    elif not found["unread"]:
        note(f"nobody who was erased is in the files that tables of {name} are read from in place")
        note(_EARLIER)
    for table, why in found["unread"].items():
        note_failure(f"table {table} cannot be read now, so who is in it is not known: {why}")
    if found["unread"]:
        raise typer.Exit(FAILED)


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List the datasets."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.datasets.all(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no datasets yet: `dpstats dataset add dataset.yaml --source TABLE=PATH` adds one")
    else:
        heads = ("dataset", "title", "privacy unit", "data version", "as of (UTC)", "state")
        rows = ((*(item[k] or "" for k in ("dataset", "title", "privacy_unit")), *_state(item)) for item in items)
        show(Table(heads, tuple(rows)))


def _state(item: dict[str, str | None]) -> tuple[str, str, str]:
    as_of = utc(item["as_of"]) if item["as_of"] else "-"
    return item["data_version"] or "not loaded", as_of, "frozen" if item["frozen"] else "open"
