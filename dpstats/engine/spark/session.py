"""Sessions of Spark: one cluster a process, by its master.

What must hold in a session is set and read back: no row may make a query raise (ANSI mode off), times have no zone and
the session is in UTC, Parquet dates are read as they are. Spark's log, pages and event log are off, nobody hears what
Java says on the terminal, and what it spills is encrypted with a key that is in memory alone, so that a killed process
leaves nothing readable.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import shutil
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpstats.errors import EngineFailed

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

SESSION = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.runSQLOnFiles": "false",  # no name in a query is ever the name of a file
    "spark.sql.variable.substitute": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.redaction.string.regex": "(?s).+",  # no page or log of a server shows a plan, which holds the key
}
_LOG = Path(__file__).with_name("log4j2.properties")
_JAVA = f"-Dlog4j2.configurationFile=file:{_LOG} -XX:ErrorFile=/dev/null -XX:-UsePerfData"
for _name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark", "py4j"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)  # PySpark writes errors to stderr, which may hold cells
_PATIENCE_S = 2.0
"""How long a Spark may take to say whether it was stopped."""
_opening = threading.Lock()
_spill: list[Path] = []


def open_session(address: str, *, memory_mb: int, threads: int) -> SparkSession:
    """A session of its own at that address: it shares the cluster with others, and no table or setting.

    Args:
      address: `local[2]` or `spark://host:port`.
      memory_mb: Memory of the driver, which with `local[n]` is all of Spark.
      threads: Half of the parts into which a local Spark splits its work.

    Raises:
      EngineFailed: PySpark or Java is missing, nobody answers there, this process uses another Spark already, or a
        setting does not hold.
    """
    with _opening:
        try:
            session = _classic(address, memory_mb, threads)
            for name, value in SESSION.items():
                session.conf.set(name, value)
            held = all(session.conf.get(name) == value for name, value in SESSION.items())
        except ImportError:
            raise EngineFailed("PySpark is missing: install dpstats[spark]") from None
        except EngineFailed:
            raise
        except Exception:
            raise EngineFailed("nobody answers there, or Java 17 is missing (JAVA_HOME)") from None
    if not held:
        raise EngineFailed("a setting that queries rely on does not hold there")
    return session


def is_answering(session: SparkSession) -> bool:
    """Whether the session's Spark is there still and was not stopped."""
    return _is_there(session.sparkContext)


def _is_there(context: SparkContext) -> bool:
    """One whose process runs and that does not say that it was stopped: a slow one is there still.

    Whoever is taken for gone is killed, and with it what others run: nothing but its end may say so.
    """
    process = getattr(context._gateway, "proc", None)
    if context._jsc is None or process is None or process.poll() is not None:
        return False
    said: list[bool] = []

    def ask() -> None:
        with suppress(Exception):  # of a connection that was not to be had
            said.append(bool(context._jsc.sc().isStopped()))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    return said != [True]


@contextmanager
def stoppable(session: SparkSession) -> Iterator[Callable[[], object]]:
    """What stops, from any thread, the jobs that this thread starts in the session inside of the `with`.

    A session's own tags are known to the thread alone that gave them: the context's are used.
    """
    tag = f"dp{secrets.token_hex(8)}"
    context = session.sparkContext
    context.addJobTag(tag)
    context.setInterruptOnCancel(True)
    try:
        yield lambda: context.cancelJobsWithTag(tag)
    finally:
        context.removeJobTag(tag)


def _classic(address: str, memory_mb: int, threads: int) -> SparkSession:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark warns of newer pandas, which is not used here
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        running = SparkContext._active_spark_context
        if running is not None and not _is_there(running):
            _forget(running)
            running = None
        if running is not None and running.master != address:
            raise EngineFailed("this service runs with another master already: give all datasets one")
        named = {"spark.app.name": "dpstats", "spark.master": address}
        settings: dict[str, Any] = (
            named | _settings(memory_mb) | (_local(threads) if address.startswith("local") else {})
        )
        _start(settings)
        session = SparkSession.builder.config(map=settings).getOrCreate().newSession()
        session.sparkContext.setLogLevel("OFF")  # of the executors too, which the setting alone does not reach
        return session


def _start(settings: dict[str, Any]) -> None:
    """Starts Java, if it does not run: what it says on the terminal is no answer of ours, and might hold cells."""
    from pyspark import SparkConf, SparkContext, java_gateway

    launch: Any = java_gateway.launch_gateway  # partly without types
    if SparkContext._gateway is None:
        unheard = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        gateway = launch(SparkConf(loadDefaults=False).setAll(list(settings.items())), unheard)
        SparkContext._ensure_initialized(gateway=gateway)


def _forget(context: SparkContext) -> None:
    """Lets go of a Spark whose process is gone, which PySpark would go on using for as long as this process lives."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    with suppress(Exception):  # of a refused connection
        context.stop()
    context.stop()  # what the first left, had it failed
    gateway: Any = SparkContext._gateway
    SparkContext._gateway = SparkContext._jvm = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None
    if gateway is None:
        return
    with suppress(Exception):  # there may be nobody to shut it down with
        gateway.shutdown()
    gateway.proc.kill()  # one whose context was stopped lives on
    gateway.proc.communicate()
    for left in _spill_folder().iterdir():
        shutil.rmtree(left, ignore_errors=True)


def _settings(memory_mb: int) -> dict[str, str]:
    return {
        "spark.driver.memory": f"{memory_mb}m",
        "spark.driver.maxResultSize": f"{memory_mb}m",
        "spark.driver.extraJavaOptions": _JAVA,
        "spark.log.level": "OFF",
        "spark.executor.syncLogLevel.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.io.encryption.enabled": "true",
        "spark.io.encryption.keySizeBits": "256",
        "spark.local.dir": str(_spill_folder()),
        "spark.sql.warehouse.dir": str(_spill_folder() / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
    }


def _local(threads: int) -> dict[str, str]:
    """Of one process that talks to itself alone."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.authenticate": "true",  # by a secret of this process: nobody else on the machine may speak to it
        "spark.sql.shuffle.partitions": str(2 * threads),
    }


def _spill_folder() -> Path:
    """A folder of this process alone, which goes when it ends."""
    if not _spill:
        folder = Path(tempfile.mkdtemp(prefix="dpstats-spark-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _spill.append(folder)
    return _spill[0]
