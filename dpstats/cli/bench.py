"""`dpstats bench`: the speed, measured here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, show, show_json
from dpstats.cli.session import loading, working

app = typer.Typer(
    help="The speed, measured here and now: query, cells, start, serve, features, consent, ledger, scale, model."
)


@app.callback()
def top() -> None:
    """Measure the speed."""


@app.command("query")
def query(
    rows: Annotated[
        int, typer.Option("--rows", min=1000, max=1_000_000_000, metavar="N", help="Rows of the made table.")
    ] = 10_000_000,
    repeats: Annotated[
        int, typer.Option("--runs", min=1, max=1000, metavar="N", help="Times that each work is run.")
    ] = 5,
    units: Annotated[
        int | None, typer.Option("--units", min=1, metavar="N", help="Privacy units; one for each ten rows by default.")
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure approved queries in the engine, and a load, beside the plain ones on the same rows.

    Counts and sums by 20 segments and 50 regions, with bounded contributions. In a workspace of its own, with synthetic
    rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.query import measure, table

    with working("measuring"):
        found = measure(rows, repeats, units)
    if as_json:
        show_json({"rows": rows, "repeats": repeats, "units": units} | asdict(found))
    else:
        show(
            Table(
                ("work", "seconds", "to plain", "peak MiB"),
                table(found),
                frozenset({"seconds", "to plain", "peak MiB"}),
            )
        )


@app.command("cells")
def cells(
    groups: Annotated[
        int, typer.Option("--groups", min=1000, max=1_000_000, metavar="N", help="Groups of the larger release.")
    ] = 1_000_000,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure a release of very many cells, from the question to the last byte, and the memory that it takes.

    Two measures of each group, charged, drawn and stored whole before the first byte is sent; beside a release of a
    tenth of the groups. In a workspace of its own, with synthetic rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.cells import measure, table

    with working("measuring"):
        found = measure(groups)
    if as_json:
        show_json({"releases": [asdict(each) for each in found]})
    else:
        heads = ("cells", "stored s", "sent s", "us a cell", "MiB sent", "MiB before", "peak MiB")
        show(Table(heads, table(found), frozenset(heads[1:])))


@app.command("start")
def start(
    datasets: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Datasets of the workspace.")] = 50,
    queries: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Its approved queries.")] = 500,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure how soon the help is said, and a service is ready.

    A service of a workspace of its own, with so many datasets and queries, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.start import measure, table

    with working("measuring"):
        found = measure(datasets, queries)
    if as_json:
        show_json({"datasets": datasets, "queries": queries} | asdict(found))
    else:
        show(Table(("measured", "value"), table(found), frozenset({"value"})))


@app.command("serve")
def serve(
    rows: Annotated[
        int, typer.Option("--rows", min=600, max=100_000_000, metavar="N", help="Rows of the made table.")
    ] = 1_500_000,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="How long each rate is measured.")
    ] = 5.0,
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Processes that serve.")] = 2,
    requests: Annotated[
        int, typer.Option(min=10, max=300_000, metavar="N", help="Requests of all kinds while memory is watched.")
    ] = 2000,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure replays beside a trivial endpoint, new releases beside the engine, and memory.

    In a workspace of its own, with synthetic rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.serve import Size, measure, table

    size = Size(rows, seconds, workers, requests)
    with working("measuring"):
        found = measure(size)
    if as_json:
        show_json(asdict(size) | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(size, found)), frozenset({"value"})))


@app.command("features")
def features(
    segments: Annotated[
        int, typer.Option("--segments", min=1, max=1_000_000, metavar="N", help="Segments of the wide table.")
    ] = 10_000,
    columns: Annotated[int, typer.Option("--features", min=1, max=400, metavar="N", help="Its features.")] = 20,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure how long a wide table that was released already takes as Arrow.

    In a workspace of its own, with synthetic rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.features import measure, table

    with working("measuring"):
        found = measure(segments, columns)
    if as_json:
        show_json({"segments": segments, "features": columns} | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(segments, columns, found)), frozenset({"value"})))


@app.command("consent")
def consent(
    events: Annotated[
        int, typer.Option("--events", min=1, max=10_000_000, metavar="N", help="Consent events that are sent.")
    ] = 20_000,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure how many consent events and signals a service takes in.

    In a workspace of its own, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.consent import measure, table

    with working("measuring"):
        found = measure(events)
    if as_json:
        show_json({"events": events} | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(events, found)), frozenset({"value"})))


@app.command("ledger")
def ledger(
    callers: Annotated[
        int, typer.Option("--callers", min=2, max=1000, metavar="N", help="Callers who charge at once.")
    ] = 32,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="How long each rate is measured.")
    ] = 5.0,
    entries: Annotated[
        int,
        typer.Option(
            "--entries", min=1000, max=100_000_000, metavar="N", help="Entries of the ledger that is set beside 1,000."
        ),
    ] = 20_000,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure durable charges beside bare commits, and a long ledger beside a short one.

    In workspaces of its own, on SQLite, that are gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.ledger import Size, measure, table

    size = Size(callers, seconds, entries)
    with working("measuring"):
        found = measure(size)
    if as_json:
        show_json(asdict(size) | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(size, found)), frozenset({"value"})))


@app.command("scale")
def scale(
    rows: Annotated[
        int, typer.Option("--rows", min=10_000, max=1_000_000_000, metavar="N", help="Rows of the largest table.")
    ] = 3_000_000,
    units: Annotated[
        int, typer.Option("--units", min=1000, max=100_000_000, metavar="N", help="The most units.")
    ] = 1_000_000,
    groups: Annotated[
        int, typer.Option("--groups", min=10, max=1_000_000, metavar="N", help="The most groups of an answer.")
    ] = 100_000,
    entries: Annotated[
        int, typer.Option("--entries", min=1, max=100_000_000, metavar="N", help="Entries of the longest ledger.")
    ] = 100_000,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curves into this file: .svg or .png.")
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure how time grows with rows, units, groups and the ledger's length, beside the plain query's.

    In workspaces of its own, with synthetic rows, that are gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.scale import Sizes, measure, table

    if plot is not None and plot.suffix.lower() not in {".svg", ".png"}:
        raise typer.BadParameter("the file's name must end in .svg or .png", param_hint="--plot")
    sizes = Sizes(rows, units, groups, entries)
    with loading() as said:
        found = measure(sizes, said)
    if plot is not None:
        from dpstats.bench.scale_plot import draw

        draw(found, plot)
    if as_json:
        show_json(asdict(sizes) | {"points": [asdict(point) for point in found]})
    else:
        heads = ("along", "size", "plain s", "from rows s", "to plain", "at rest s", "to plain", "release s")
        show(Table(heads, table(found), frozenset(heads[1:])))


@app.command("model")
def model(
    rows: Annotated[
        int, typer.Option("--rows", min=1, metavar="N", help="Rows of the largest dataset.")
    ] = 10_000_000_000,
    units: Annotated[int, typer.Option("--units", min=1, metavar="N", help="Its privacy units.")] = 500_000_000,
    groups: Annotated[int, typer.Option("--groups", min=1, metavar="N", help="Groups of an answer.")] = 1000,
    datasets: Annotated[int, typer.Option("--datasets", min=1, metavar="N", help="Datasets.")] = 1000,
    releases: Annotated[
        int, typer.Option("--releases", min=0, metavar="N", help="New releases of each dataset in a day.")
    ] = 100,
    replays: Annotated[int, typer.Option("--replays", min=0, metavar="N", help="Replays a second.")] = 10_000,
    sample: Annotated[
        int, typer.Option("--sample", min=1000, max=100_000_000, metavar="N", help="Rows that rates are measured on.")
    ] = 500_000,
    as_json: inputs.AsJson = False,
) -> None:
    """Say what a deployment takes, by rates that are measured here and checked at a larger size.

    In workspaces of its own, with synthetic rows, that are gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.model import Deployment, breaks, measure, table

    size = Deployment(rows, units, groups, datasets, releases, replays)
    with loading() as said:
        rates = measure(sample, said)
    over = breaks(rates, size)
    if as_json:
        show_json({"deployment": asdict(size), "rates": asdict(rates), "breaks": over})
    else:
        heads = ("what", "takes", "each", "checked", "at that size")
        show(Table(heads, tuple(table(rates, size)), frozenset({"takes", "checked", "at that size"})))
        for line in over or ["nothing: it fits on such a host"]:
            note(f"breaks first: {line}")
