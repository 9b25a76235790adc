from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.ledger.chain import Content, Entry, canonical_json, content_hash, entry_hash, genesis, verify_chain
from dpstats.ledger.records import Question

TEXT = st.text(max_size=8)
MAYBE = st.none() | TEXT
STEPS = st.integers(0, 2**62)
CONTENTS = st.builds(
    Content,
    lineage=st.just("l"),
    kind=st.sampled_from(["grant", "charge"]),
    measure=st.sampled_from(["zcdp", "pure"]),
    amount=STEPS,
    delta=STEPS,
    epsilon=STEPS,
    at=TEXT,
    actor=TEXT,
    reason=TEXT,
    token_id=MAYBE,
    release_id=MAYBE,
    query=MAYBE,
    parameters=TEXT,
    events=TEXT,
)


def chained(contents: list[Content]) -> list[Entry]:
    entries: list[Entry] = []
    prev_hash = genesis("l")
    for seq, content in enumerate(contents, start=1):
        digest = content_hash(content, seq, prev_hash)
        entries.append(Entry(**vars(content), seq=seq, prev_hash=prev_hash, hash=digest, signature=""))
        prev_hash = digest
    return entries


@given(st.lists(CONTENTS, max_size=5))
def test_a_chain_as_it_was_written_verifies(contents: list[Content]) -> None:
    assert verify_chain(chained(contents)) == []


@given(st.lists(CONTENTS, min_size=1, max_size=4), st.data())
def test_any_field_of_any_entry_changed_is_found(contents: list[Content], data: st.DataObject) -> None:
    entries = chained(contents)
    place = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(sorted(set(vars(entries[0])) - {"signature"})))
    old = getattr(entries[place], field)
    new = data.draw(STEPS if isinstance(old, int) else TEXT if old is None else MAYBE)
    if new != old:
        entries[place] = replace(entries[place], **{field: new})
        assert verify_chain(entries)


@given(st.lists(CONTENTS, min_size=2, max_size=5), st.data())
def test_an_entry_removed_repeated_or_moved_is_found(contents: list[Content], data: st.DataObject) -> None:
    entries = chained(contents)
    place = data.draw(st.integers(0, len(entries) - 2))
    assert verify_chain(entries[:place] + entries[place + 1 :])
    assert verify_chain(entries[: place + 1] + entries[place:])
    swapped = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
    assert verify_chain(swapped)


def test_a_value_of_a_type_that_is_never_written_is_a_change_and_no_crash() -> None:
    content = Content(lineage="l", kind="grant", measure="zcdp", amount=1, delta=0, epsilon=0, at="", actor="")
    (entry,) = chained([content])
    assert entry_hash(replace(entry, actor=b"\xff")) == ""  # type: ignore[arg-type]
    assert verify_chain([replace(entry, amount=1.0)])  # type: ignore[arg-type]


def test_the_hash_is_sha256_of_the_canonical_json_of_all_that_is_there_so_that_anyone_can_recompute_it() -> None:
    start = hashlib.sha256(b'{"chain":"dpstats-ledger-1","lineage":"l"}').hexdigest()
    assert genesis("l") == f"sha256:{start}"
    content = Content(
        lineage="l",
        kind="charge",
        measure="zcdp",
        amount=5,
        delta=0,
        epsilon=0,
        at="2026-03-01T00:00:00.000000+00:00",
        actor="Zo\u00eb",
        release_id="ab",
    )
    text = (
        '{"actor":"Zo\\u00eb","amount":5,"at":"2026-03-01T00:00:00.000000+00:00","delta":0,"epsilon":0,"events":"[]",'
        '"kind":"charge","lineage":"l","measure":"zcdp","parameters":"{}","prev_hash":"sha256:'
        + start
        + '","reason":"","release_id":"ab","seq":1}'
    )
    assert content_hash(content, 1, genesis("l")) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_two_lineages_start_from_two_hashes() -> None:
    assert genesis("a") != genesis("b")


@given(st.dictionaries(TEXT, st.integers() | TEXT | st.booleans() | st.none(), max_size=4))
def test_canonical_json_does_not_depend_on_order_and_reads_back(value: dict[str, object]) -> None:
    text = canonical_json(value)
    assert text == canonical_json(dict(reversed(value.items())))
    assert json.loads(text) == value
    assert text.isascii()


def test_canonical_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})


@given(TEXT, TEXT, TEXT, TEXT)
def test_questions_are_equal_only_if_version_and_parameters_are(a: str, b: str, c: str, d: str) -> None:
    assert (Question("q", a, b).hash == Question("q", c, d).hash) == ((a, b) == (c, d))
