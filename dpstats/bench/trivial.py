"""What the service is compared with: one endpoint that answers at once, on as many workers."""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

app = FastAPI()


@app.get("/")
async def trivial() -> dict[str, bool]:
    """The same few bytes for everybody."""
    return {"trivial": True}


def main() -> None:
    """`python -m dpstats.bench.trivial WORKERS`: prints its port, and serves until it is told to stop."""
    workers = int(sys.argv[1])
    # Named, or asyncio leaves Nagle's algorithm on, and every answer waits for the caller's acknowledgement.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        listener.set_inheritable(True)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(
            "dpstats.bench.trivial:app",
            workers=workers,
            http="h11",  # as the service
            log_level="warning",
            access_log=False,
            timeout_worker_healthcheck=60,
        )
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            Multiprocess(config, sockets=[listener]).run()


if __name__ == "__main__":
    main()
