"""Nothing here promises what only a business, a court or nobody at all can: words that no page or text may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = [
    "ccpa compliant",
    "ccpa-compliant",
    "ccpa certified",
    "makes you compliant",
    "anonymous data",
    "anonymised data",
    "anonymized data",
    "cannot be re-identified",
    "cannot be reidentified",
    "legally de-identified",
    "legally deidentified",
    "exempt from ccpa",
    "required by ccpa",
    "safe harbour",
    "safe harbor",
    "zero risk",
    "ccpa approved",
    "satisfies 1798.140",
    "hashing removes",
    "pseudonymising removes",
    "mathematically impossible",
    "deletes your data everywhere",
    "honours all opt-outs",
    "gpc certified",
    "gpc conformant",
    "gpp certified",
    "gpp conformant",
    "iso 27560 conformant",
    "implements drop",
    "meets admt",
    "anonymized statistics",
    "anonymous statistics",
    "fully anonymous",
]
ENDINGS = {".py", ".md", ".yaml", ".html", ".css", ".js", ".toml", ".ipynb", ".txt"}
PLACES = ["dpstats", "queries", "notebooks", "README.md", "CHANGELOG.md", "pyproject.toml"]


def texts() -> list[Path]:
    files = [
        file for place in PLACES for file in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))
    ]
    return [file for file in files if file.suffix in ENDINGS and file.is_file()]


def test_there_are_texts_to_look_at() -> None:
    assert len(texts()) > 150


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_text_says_what_must_not_be_said(words: str) -> None:
    found = [
        str(file.relative_to(ROOT)) for file in texts() if words in " ".join(file.read_text("utf-8").lower().split())
    ]
    assert found == []
