"""A wire to a PostgreSQL server that breaks at a COMMIT: before the server has it, or after it was carried out."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


class CuttingProxy:
    """Passes on what client and server say, through a socket in `folder`, until it is told to cut."""

    def __init__(self, server: Path) -> None:
        self._server = server / SOCKET
        self.folder = Path(tempfile.mkdtemp(prefix="cut-"))
        self.cut = ""
        """`before` or `after`: what happens to the next COMMIT, once."""
        self.stays_cut = False
        """Whether nobody can connect any more once it was cut."""
        self.cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / SOCKET))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listens no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.stays_cut and self.cuts:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                held = threading.Event()
                threading.Thread(target=self._ask, args=(client, server, held), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, held), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, held: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cut and b"COMMIT\x00" in data:
                    cut, self.cut = self.cut, ""
                    if cut == "after":
                        held.set()  # the answer to this is kept from the client
                        server.sendall(data)
                        return
                    self._break(client, server)
                    return
                server.sendall(data)
        self._shut(server)

    def _answer(self, server: socket.socket, client: socket.socket, held: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if held.is_set():
                    self._break(client, server)
                    return
                client.sendall(data)
        self._shut(client)

    def _break(self, *ends: socket.socket) -> None:
        self.cuts += 1
        for end in ends:
            self._shut(end)

    @staticmethod
    def _shut(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
