"""A sandbox's workspace: made in a folder of its own, filled the way that a steward fills one, gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from dpstats.access import operator
from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.enlarged import with_largest_budget
from dpstats.catalog.query import parse_query
from dpstats.errors import DpstatsError
from dpstats.sandbox.invented import Inventor
from dpstats.sandbox.texts import Texts
from dpstats.settings import Settings
from dpstats.workspace import Workspace
from dpstats.workspace.invented import everybody_consents
from dpstats.workspace.sandbox import make_sandbox_home

MAKER = operator("sandbox")
ROLES = ("analyst", "job", "steward", "collector")


@dataclass(frozen=True)
class Sandbox:
    """Settings that serve it, and a token for each role, known nowhere else."""

    settings: Settings
    tokens: Mapping[str, str]


@contextmanager
def sandbox(settings: Settings, texts: Texts) -> Iterator[Sandbox]:
    """A sandbox of these texts, with the limits and the address of `settings` and nothing else of theirs.

    Its ledger is a file of its own, whatever the settings say; tokens of the real service and JWTs of its issuer are
    nobody's there. While it is served its feature views are renewed: nobody else could.
    """
    with tempfile.TemporaryDirectory(prefix="dpstats-sandbox-") as folder:
        home = Path(folder) / "home"
        make_sandbox_home(home)
        own = {"home": home, "ledger_url": SecretStr(""), "oidc_issuer": "", "oidc_audience": "", "refresh_every": "1h"}
        apart = settings.model_copy(update=own)
        with closing(Workspace.open(apart)) as workspace:
            _fill(workspace, texts, Path(folder))
            tokens = {role: workspace.tokens.create(MAKER, f"sandbox-{role}", role) for role in ROLES}
        yield Sandbox(apart, tokens)


def _fill(workspace: Workspace, texts: Texts, folder: Path) -> None:
    queries = [parse_query(text, f"{name}.yaml") for name, text in texts.queries.items()]
    for name, text in texts.datasets.items():
        own = tuple(query for query in queries if query.dataset == name)
        dataset = parse_dataset(text, name)
        tables = Inventor(dataset, own).tables()
        sources = {table: _written(folder / f"{name}.{table}.parquet", columns) for table, columns in tables.items()}
        file = _text(folder / "dataset.yaml", with_largest_budget(text, name))
        workspace.datasets.add(MAKER, file, sources, notice=workspace.datasets.notice_alone(dataset))
        everybody_consents(workspace, MAKER, dataset, tables)
        for table, source in sources.items():
            if not dataset.tables[table].in_place:
                source.unlink()
    for name, text in texts.queries.items():
        _, version = workspace.review.submit(MAKER, _text(folder / f"{name}.yaml", text))
        if name in texts.approved:
            workspace.review.approve(MAKER, name, version)
    for name, text in texts.views.items():
        with suppress(DpstatsError):  # one whose queries are no longer approved has nothing there either
            workspace.features.submit_text(MAKER, text, f"{name}.yaml")


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _written(path: Path, columns: Mapping[str, object]) -> Path:
    pq.write_table(pa.table(dict(columns)), path)
    return path
