"""A PostgreSQL server of the tests' own: a new cluster in a temporary folder, reached by a Unix socket alone."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOM_BYTES = 4 * 2**30
MISSING = "no PostgreSQL server is installed: on Debian, `apt-get install postgresql`"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest one; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folders = [*(Path(name) for name in os.environ.get("PATH", "").split(os.pathsep)), *found]
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def _quick_folder() -> Path | None:
    """Where making and removing the thousands of files of a hundred databases takes no disk; None if not there.

    Killed processes lose no more there than on a disk: what they wrote is the kernel's either way.
    """
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES else None


class PostgresServer:
    """A running server, with fsync on as it is by default; its databases are empty until a workspace is opened."""

    def __init__(self, folder: Path) -> None:
        self._binaries = folder
        self.folder = Path(tempfile.mkdtemp(prefix="dpstats-postgres-", dir=_quick_folder()))
        self.folder.chmod(0o755)
        self._names = (f"ledger_{number}" for number in itertools.count(1))
        # PostgreSQL does not run as root.
        account = "postgres" if os.geteuid() == 0 else None
        self._as = {"user": account, "group": account, "extra_groups": []} if account else {}
        if account:
            os.chown(self.folder, pwd.getpwnam(account).pw_uid, -1)
        self._run("initdb", "-D", self.folder / "data", "-A", "trust", "-U", "dpstats", "-E", "UTF8", "--no-locale")
        self.start()

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
        command = [self._binaries / "postgres", "-D", self.folder / "data", *options]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self._as)
        log.close()
        self.wait()

    def wait(self) -> None:
        """Waits until the server answers: it has started, or recovered from a crash."""
        for _ in range(600):
            if not subprocess.run(self._ready, stdout=subprocess.DEVNULL, check=False).returncode:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Ends the server as a crash does: what was committed is in its log, nothing else was tidied up."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def close(self) -> None:
        """Ends the server and removes everything of it."""
        self.kill()
        shutil.rmtree(self.folder)

    def url(self, database: str, folder: Path | None = None) -> str:
        """The address of a database, through the server's socket or another in `folder`."""
        return f"postgresql+psycopg://dpstats@/{database}?host={folder or self.folder}"

    def new_database(self, options: str = "") -> str:
        """Makes an empty database and says its name."""
        name = next(self._names)
        self.execute("postgres", f"CREATE DATABASE {name} {options}")
        return name

    def execute(self, database: str, *statements: str) -> list[tuple[object, ...]]:
        """Runs statements one by one as the superuser; the rows of the last one, if it gives any."""
        import psycopg

        with closing(psycopg.connect(host=str(self.folder), dbname=database, user="dpstats", autocommit=True)) as raw:
            for statement in statements:
                cursor = raw.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def _ready(self) -> list[str]:
        return [str(self._binaries / "pg_isready"), "-q", "-h", str(self.folder), "-d", "postgres"]

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as)
