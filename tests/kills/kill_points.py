"""The named points at which a worker is killed: between all steps of a release, a load, a backup, a restore, a grant, a
migration.

A point is reached by watching: the worker has a profiler (`sys.setprofile`) that sees which function is called and
which returns, and kills the process when the last of a point's steps has come. dpstats itself knows nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

Step = tuple[str, str, str]
"""`call` or `return`, the module, and the function's qualified name."""

CHARGE = "dpstats.ledger.charging:decide"
COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"
LEDGER = "dpstats.ledger.ledger:Ledger"
FILES = "dpstats.ledger.files"
LOADER = "dpstats.engine.load:_Loader"


@dataclass(frozen=True)
class Point:
    """A place in some work.

    `steps`: what comes before the kill, in this order. `watched`: the kill comes when a file that fits this pattern in
    the workspace begins to change, in the middle of what a library does. `within_ms`: the kill comes at a random moment
    so long after the steps. `only`: the one back end that has it, empty for both.
    """

    name: str
    work: str
    steps: tuple[str, ...] = ()
    watched: str = ""
    within_ms: int = 0
    only: str = ""

    def parsed(self) -> list[Step]:
        """The steps as the worker compares them."""
        return [_parsed(step) for step in self.steps]


def _parsed(step: str) -> Step:
    event, _, function = step.partition(" ")
    module, _, name = function.partition(":")
    return event, module, name


POINTS = (
    # -- a release: validate, charge, run, noise, store, respond
    Point("validated", "release", ("return dpstats.catalog.parameters:bind_parameters",)),
    Point("planned", "release", (f"call {LEDGER}.charging",)),
    Point("charge decided, not committed", "release", (f"return {CHARGE}",)),
    Point("charge at its commit", "release", (f"return {CHARGE}", f"call {COMMIT}")),
    Point("charge committed", "release", (f"return {CHARGE}", f"return {COMMIT}")),
    Point("head written beside", "release", (f"return {CHARGE}", f"return {FILES}:_write_beside")),
    Point("head in its place", "release", (f"return {CHARGE}", f"return {FILES}:replace_durably")),
    Point("charged", "release", (f"return {LEDGER}.charging",)),
    Point("run begins", "release", ("call dpstats.engine.duck:DuckEngine.run",)),
    Point("rows are read", "release", ("call dpstats.engine.duck:_answer",), within_ms=4),
    Point("run", "release", ("return dpstats.engine.duck:DuckEngine.run",)),
    Point("noise drawn", "release", ("return dpstats.engine.noise:add_noise",)),
    Point("store begins", "release", (f"call {LEDGER}.store",)),
    Point("draw at its commit", "release", ("return dpstats.ledger.shelf:new_row", f"call {COMMIT}")),
    Point("draw committed", "release", ("return dpstats.ledger.shelf:new_row", f"return {COMMIT}")),
    Point("stored", "release", (f"return {LEDGER}.store",)),
    Point("answer noted", "release", ("return dpstats.ledger.answered:Answered.note",)),
    Point("response written", "release", ("return dpstats.formats:encode",)),
    Point("response sent", "release", ("return __main__:respond",)),
    Point("any moment of a release", "release", within_ms=600),
    # -- SQLite's own checkpoint: the log goes into the database file
    Point("checkpoint of the log", "checkpoint", watched="ledger.db", only="sqlite"),
    # -- a load: spill, checkpoint, swap
    Point("source read", "load", ("return dpstats.engine.feeding:Feeder.read_source",)),
    Point("spill", "load", watched="data/*/.loading-*/spill/*"),
    Point("data before their checkpoint", "load", (f"call {LOADER}.finish",)),
    Point("checkpoint of the data", "load", ("return dpstats.engine.meta:write_meta",), within_ms=20),
    Point("data in their place", "load", ("return dpstats.engine.whole:_publish",)),
    Point("swap at its commit", "load", ("call dpstats.workspace.datasets:Datasets._enter", f"call {COMMIT}")),
    Point("swapped", "load", ("return dpstats.workspace.datasets:Datasets._enter",)),
    Point("any moment of a load", "load", within_ms=500),
    # -- a grant
    Point("grant at its commit", "grant", ("return dpstats.ledger.granting:grant", f"call {COMMIT}")),
    Point("grant committed", "grant", ("return dpstats.ledger.granting:grant", f"return {COMMIT}")),
    # -- backup and restore
    Point("backup copied", "backup", ("return dpstats.ledger.backup:_copy",)),
    Point("backup in one file", "backup", ("return dpstats.ledger.backup:_into_one_file",)),
    Point("backup verified", "restore", ("return dpstats.ledger.backup:_check_known",)),
    Point("heads restored", "restore", ("return dpstats.ledger.heads:HeadFiles.save",)),
    Point("any moment of a restore", "restore", within_ms=60),
    # -- a migration from the schema before revisions
    Point("migration begins", "migration", ("call dpstats.ledger.migrating:_migrate",)),
    Point("migration half way", "migration", ("return dpstats.ledger.append_only:append_only",), within_ms=10),
    Point("migration at its commit", "migration", ("return dpstats.ledger.migrating:_migrate", f"call {COMMIT}")),
    Point("migrated", "migration", ("return dpstats.ledger.migrating:_migrate", f"return {COMMIT}")),
)


def points_of(back_end: str) -> tuple[Point, ...]:
    """The points that a back end has."""
    return tuple(point for point in POINTS if point.only in ("", back_end))
