"""How soon each page is seen: first contentful paint in Chromium on this machine, of every page, three times each.

`python tests/web/measure_paint.py` makes a small workspace, serves it, signs in, and prints a line for each page: the
middle of the three paints in milliseconds, when its HTML had come, and its size in bytes. Exit status 1 if one is past
its bound. Other work on the machine counts in: measure on an idle one.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from api_town import ME, build, write_files
from playwright.sync_api import Page, sync_playwright

from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

PAINT_MS, PAGE_BYTES, TIMES = 300, 60_000, 3
FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking"
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 1e9"
UNSEEN = 1e9
_CAME = "performance.getEntriesByType('navigation')[0].responseEnd"
_BYTES = "performance.getEntriesByType('navigation')[0].decodedBodySize"

OUTSIDE = ("/", "/privacy", "/transparency", "/opt-out")
INSIDE = ("/queries", "/queries/spend_by_band", "/releases", "/releases/{release}", "/compare?left={release}")
STEWARDS = ("/waiting", "/waiting/spend_by_band", "/budgets/town", "/asked/town", "/ledger/town", "/tokens")


def measured(page: Page, address: str) -> tuple[float, float, int]:
    """The middle first paint of an address and the middle moment when its HTML had come, in ms, and its bytes."""
    paints, came = [], []
    for _ in range(TIMES):
        page.goto(address, wait_until="load")
        while page.evaluate(_PAINT) >= UNSEEN:  # polled from here: the pages' own policy allows no eval
            page.wait_for_timeout(10)
        paints.append(float(page.evaluate(_PAINT)))
        came.append(float(page.evaluate(_CAME)))
    return statistics.median(paints), statistics.median(came), int(page.evaluate(_BYTES))


def main() -> int:
    """Measures, prints, and says by its status whether all is within bounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder / "files")
        build(folder / "home", folder / "files")
        workspace = Workspace.open(read_settings(home=folder / "home"))
        release, _ = workspace.releases.make(Ask(ME, "spend_by_band", {}))
        token = workspace.tokens.create(ME, "mira", "steward", datasets=("town",))
        workspace.close()
        command = [sys.executable, str(Path(__file__).parents[1] / "api" / "serving.py"), str(folder / "home"), "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            try:
                return _all(address, token, release["release_id"])
            finally:
                process.terminate()


def _all(address: str, token: str, release_id: str) -> int:
    late = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        page = browser.new_context(base_url=address).new_page()
        for path in (*OUTSIDE, *INSIDE, *STEWARDS):
            if path == INSIDE[0]:
                page.goto("/")
                page.get_by_label("Token").fill(token)
                page.get_by_role("button", name="Sign in").click()
            paint, came, size = measured(page, path.format(release=release_id))
            late += paint > PAINT_MS or size > PAGE_BYTES
            print(f"{path:30} {paint:6.0f} ms, HTML {came:4.0f} ms, {size:7,} bytes", flush=True)
        browser.close()
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
