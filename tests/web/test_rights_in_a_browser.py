"""A steward's way through a rights request and a consent epoch in a real browser; and the pages for everybody."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from api_town import ME
from playwright.sync_api import Browser, expect
from visits import LOOKS, Served, follow, sign_in, visiting

PUBLIC = ("/privacy", "/transparency", "/opt-out")


@pytest.fixture(scope="module")
def officer(served: Served) -> str:
    """A steward's token."""
    return served[1].tokens.create(ME, "officer", "steward")


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_a_request_is_in_order(
    chromium: Browser, served: Served, officer: str, width: int, theme: str
) -> None:
    rights = served[1].rights
    kept = [rights.open(ME, kind, "town", 5, waive=True)["id"] for kind in ("delete", "know", "opt_out")]
    rights.verify(ME, kept[1], "reasonable", "two facts matched")
    with visiting(chromium, served, width=width, theme=theme) as visit:
        sign_in(visit.page, officer)
        visit.said.clear()
        paths = ["/rights", "/rights?show=closed", "/rights/new", "/consent", "/consent/close"]
        paths += [f"/rights/{request}" for request in kept]
        paths += [f"/rights/{kept[0]}/{act}" for act in ("confirm", "verify", "extend", "deny", "revoke", "execute")]
        for path in paths:
            assert visit.page.goto(path).ok  # type: ignore[union-attr]
            for fold in visit.page.locator("summary").all():
                fold.click()
            visit.look()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_steward_opens_verifies_and_answers_a_request_to_know(
    chromium: Browser, served: Served, officer: str, tmp_path: Path, scripts: bool
) -> None:
    with visiting(chromium, served, width=390, scripts=scripts) as visit:
        page = visit.page
        sign_in(page, officer)
        visit.said.clear()
        follow(page.get_by_role("link", name="Rights"))
        follow(page.get_by_role("link", name="Open a request"))
        page.get_by_label("to know what is held about them").check()
        page.get_by_label("The person's id").fill("17")
        follow(page.get_by_role("button", name="Open the request"))
        assert "its clocks run" in page.get_by_role("status").inner_text()
        follow(page.get_by_role("link", name="Note who asks"))
        page.get_by_label("With high assurance").check()
        page.get_by_label("How it was found out").fill("signed declaration")
        follow(page.get_by_role("button", name="Note who asks"))
        follow(page.get_by_role("link", name="Carry it out"))
        follow(page.get_by_role("button", name="Make the package"))
        expect(page.locator("h1")).to_have_text("Fetch it now: this way is shown once")
        if scripts:
            visit.look()
        with page.expect_download() as started:
            page.get_by_role("button", name="Download the package, once").click()
        started.value.save_as(tmp_path / "package.zip")
        assert zipfile.ZipFile(tmp_path / "package.zip").testzip() is None
        follow(page.get_by_role("link", name="Go back to the request"))
        expect(page.locator(".lead")).to_have_text(re.compile("^Fulfilled"))
        assert visit.said == []


def test_a_steward_closes_an_epoch(chromium: Browser, served: Served, officer: str) -> None:
    with visiting(chromium, served) as visit:
        sign_in(visit.page, officer)
        visit.page.goto("/consent/close")
        follow(visit.page.get_by_role("button", name=re.compile("Close the epoch")))
        assert "The epoch is closed" in visit.page.get_by_role("status").inner_text()


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_for_everybody_are_in_order(chromium: Browser, served: Served, width: int, theme: str) -> None:
    with visiting(chromium, served, width=width, theme=theme) as visit:
        page = visit.page
        for path in PUBLIC:
            assert page.goto(path).ok  # type: ignore[union-attr]
            for fold in page.locator("summary").all():
                fold.click()
            visit.look()
        page.locator("main input[name=unit]").fill("17")
        follow(page.locator("main button"))
        assert page.locator("h1").inner_text()
        visit.look()
