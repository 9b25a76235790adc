"""What everybody may read is plain language: nine years of school will do (11 CCR 7003; Kincaid et al. 1975)."""

from __future__ import annotations

import re
from html import unescape

import pytest
from api_town import Town

from dpstats.rights.notice import COMMITMENT, FOOTER, PAST_STATISTICS, RIGHTS, SIGNALS
from dpstats.rights.package import OPT_OUT_OFFERED
from dpstats.workspace.rights_told import ALL_BUT_WHAT_IS_KEPT, TOLD_AFTER_ERASURE, TOLD_OF_THE_NOTICE, kept_here

MOST_YEARS = 9
KEPT = [ALL_BUT_WHAT_IS_KEPT, kept_here("orders.paid", "1798.105(d)(8)")]
TOLD = [*TOLD_AFTER_ERASURE, *TOLD_OF_THE_NOTICE, *KEPT, OPT_OUT_OFFERED, SIGNALS, COMMITMENT, FOOTER, PAST_STATISTICS]
TOLD += [right["says"] for right in RIGHTS]
_BLOCKS = re.compile(r"</(?:p|li|h\d|label|button|dt|dd|th|td|summary|legend|caption|a)>")


def years(text: str) -> float:
    """The grade of Flesch and Kincaid: by the lengths of sentences in words, and of words in syllables."""
    sentences = [part for part in re.split(r"[.!?:;]\s+|\n+", text) if re.search("[a-z]{2}", part)]
    words = re.findall(r"[A-Za-z][A-Za-z'’-]*", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


def _syllables(word: str) -> int:
    """About how many: the runs of vowels, but for a silent e at the end."""
    runs = len(re.findall("[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith(("le", "ee")) and runs > 1
    return max(1, runs - silent)


@pytest.mark.parametrize("path", ["/privacy", "/transparency", "/opt-out"])
def test_a_page_for_everybody_is_in_plain_language(quiet_town: Town, path: str) -> None:
    main = re.search("<main.*?</main>", quiet_town.ask("GET", path).text, re.DOTALL)
    assert main is not None
    text = unescape(re.sub("<[^>]+>", " ", _BLOCKS.sub("\n", re.sub("<code>.*?</code>", " ", main[0]))))
    assert len(text.split()) > 50
    assert years(text) <= MOST_YEARS


def test_what_a_person_is_told_of_a_request_is_in_plain_language() -> None:
    assert years("\n".join(TOLD)) <= MOST_YEARS
    assert years("Notwithstanding the aforementioned stipulations, controllers effectuate anonymisation.") > MOST_YEARS
