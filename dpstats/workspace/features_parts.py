"""What a wide table is made of: one release for each query, or for each query and whole time block.

Which releases these are follows from the view's file, the queries and the day of the load alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.features import FeatureView, feature_names
from dpstats.catalog.parameters import BoundParameters, bind_parameters
from dpstats.catalog.query import DateParameter, KeysFrom, PrivateKeys
from dpstats.errors import InvalidParameters
from dpstats.ledger.records import Question
from dpstats.library import Known
from dpstats.plan.analysis import Analysis
from dpstats.plan.keys import KeySpec
from dpstats.privacy.blocks import Grain
from dpstats.privacy.loss import Measure
from dpstats.release import ADS_FRESH_FOR, is_for_ads, question

Query = tuple[Known, Analysis]
"""A query that may be asked, understood."""


@dataclass(frozen=True)
class Part:
    """One release of a wide table. `names`: the feature that each of its measures is. `block`: the one it is about."""

    known: Known
    analysis: Analysis
    parameters: BoundParameters
    names: Mapping[str, str]
    block: str | None = None

    @property
    def question(self) -> Question:
        """What is asked."""
        return question(self.analysis, self.parameters)

    @property
    def label(self) -> str:
        """The query, and the block where there is one: `spend` or `spend 2017-03`."""
        return f"{self.known.query.query} {self.block}" if self.block else self.known.query.query


def parts_of(
    queries: Sequence[Query], given: Mapping[str, object], rename: Mapping[str, str], *, by_block: bool = False
) -> tuple[Part, ...]:
    """A part for each query; every parameter goes to each query that has it.

    Args:
      by_block: the ends of windows are not given: they are filled in, for blocks to be cut out of them.

    Raises:
      InvalidParameters: the queries do not have the same keys, a name is twice, or a parameter is wrong or nobody's.
    """
    names = named_features(queries, rename)
    strangers = [name for name in given if not any(name in known.query.parameters for known, _ in queries)]
    if strangers:
        raise InvalidParameters(dict.fromkeys(strangers, "none of the queries has this parameter"))
    return tuple(
        Part(
            known,
            analysis,
            bind_parameters(known.query, _own(known, given) | (_widest(known, analysis) if by_block else {})),
            names[known.query.query],
        )
        for known, analysis in queries
    )


def parts_of_view(view: FeatureView, queries: Sequence[Query], loaded_on: date, back: int = 0) -> tuple[Part, ...]:
    """The parts of a view; of one that looks back over blocks, as it was `back` blocks ago. Empty: not so far back.

    Raises:
      InvalidParameters: as `parts_of`, or the view asks for blocks and its queries do not have them.
    """
    if view.blocks is not None:
        _check_ends(view, queries)
    plain = parts_of(queries, view.parameters, view.rename, by_block=view.blocks is not None)
    if view.blocks is None:
        return plain if back == 0 else ()
    grain, blocks = whole_blocks(queries, loaded_on)
    last = blocks[back : back + view.blocks]
    if len(last) < view.blocks:
        return ()
    return tuple(part for each in plain for part in _by_block(each, grain, last))


def check_view(view: FeatureView, queries: Sequence[Query], loaded_on: date) -> None:
    """Whether the view and its queries go together.

    Raises:
      InvalidParameters: they do not, and why.
    """
    if view.monthly.rho is not None and queries[0][0].dataset.measure is Measure.PURE:
        raise InvalidParameters({"monthly": "a dataset with delta 0 counts epsilon: give epsilon"})
    check_dataset(view, queries)
    _check_age(view, queries)
    parts = parts_of_view(view, queries, loaded_on)
    if {key.name for key in queries[0][1].keys} != set(view.segment):
        raise InvalidParameters({"segment": "it must name the keys of the queries"})
    if view.per is not None and view.per not in {name for part in parts for name in part.names.values()}:
        raise InvalidParameters({"per": f"no feature of the view is called {view.per}"})


def check_dataset(view: FeatureView, queries: Sequence[Query]) -> None:
    """Whether the queries are all of the view's dataset.

    Raises:
      InvalidParameters: one is not.
    """
    strangers = [known.query.query for known, _ in queries if known.query.dataset != view.dataset]
    if strangers:
        raise InvalidParameters({"queries": f"{strangers[0]} is a query of another dataset than {view.dataset}"})


def version_of(view: FeatureView, queries: Sequence[Query]) -> str:
    """SHA-256 over what a view's file says and its queries' versions."""
    versions = [[known.query.query, known.version] for known, _ in queries]
    return "sha256:" + hashlib.sha256(canonical_json([view, versions])).hexdigest()


def oldest(view: FeatureView, queries: Sequence[Query]) -> timedelta:
    """How old a view may be: what it says, and no older than answers for advertising may be where it has any."""
    for_ads = any(is_for_ads(analysis) for _, analysis in queries)
    return min(view.max_age, ADS_FRESH_FOR) if for_ads else view.max_age


def named_features(queries: Sequence[Query], rename: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The feature that each measure is, by query.

    Raises:
      InvalidParameters: the queries do not have the same declared keys, or two features one name.
    """
    _check_keys(queries)
    measures = {known.query.query: tuple(o.name for o in analysis.outputs) for known, analysis in queries}
    try:
        found = feature_names(measures, dict(rename))
    except ValueError as error:
        raise InvalidParameters({"queries": str(error)}) from None
    taken = {key.name for key in queries[0][1].keys} & {name for own in found.values() for name in own.values()}
    if taken:
        raise InvalidParameters({"queries": f"{min(taken)} is a key and a feature: rename the feature"})
    return found


def whole_blocks(queries: Sequence[Query], loaded_on: date) -> tuple[Grain, tuple[str, ...]]:
    """The whole blocks that every query with a window can be asked about, newest first.

    The block that the day of the load is in may lack rows, so it is not whole.

    Raises:
      InvalidParameters: no query has a window by two parameters.
    """
    windows = [_window(known) for known, analysis in queries if is_windowed(known, analysis)]
    grains = [analysis.blocks.every for _, analysis in queries if analysis.blocks is not None]
    if not windows:
        raise InvalidParameters({"blocks": "no query of the view has a window by two parameters"})
    grain = grains[0]
    first, last = max(since.min for since, _ in windows), min(until.max for _, until in windows)
    end = min(grain.start(loaded_on), grain.start(last))
    found = []
    while (start := grain.start(end - timedelta(days=1))) >= first:
        found.append(grain.block_of(start))
        end = start
    return grain, tuple(found)


def _by_block(part: Part, grain: Grain, blocks: Sequence[str]) -> Iterator[Part]:
    """The part for each block, newest first; one that has no window stands once, as it is."""
    if not is_windowed(part.known, part.analysis):
        yield part
        return
    window = part.known.query.window
    for place, block in enumerate(blocks, start=1):
        start = grain.first_day(block)
        span = {str(window.since)[1:]: start, str(window.until)[1:]: grain.after(start)} if window else {}
        given = part.parameters.canonical | {name: day.isoformat() for name, day in span.items()}
        names = {measure: f"{feature}_{place}" for measure, feature in part.names.items()}
        yield Part(part.known, part.analysis, bind_parameters(part.known.query, given), names, block)


def _own(known: Known, given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name in known.query.parameters}


def _check_ends(view: FeatureView, queries: Sequence[Query]) -> None:
    for known, analysis in queries:
        clash = _widest(known, analysis).keys() & view.parameters.keys()
        if clash:
            raise InvalidParameters({min(clash): "it is set by `blocks`: leave it out of `parameters`"})


def _widest(known: Known, analysis: Analysis) -> dict[str, object]:
    """The ends of a query's window as wide as they may be; nothing where it has none."""
    if not is_windowed(known, analysis):
        return {}
    (since, start), (until, end) = _ends(known)
    return {since: start.min.isoformat(), until: end.max.isoformat()}


def is_windowed(known: Known, analysis: Analysis) -> bool:
    """Whether the query's window is by two parameters, so that it can be asked about one block."""
    window, use = known.query.window, analysis.blocks
    return use is not None and use.timed and window is not None and isinstance(window.since, str)


def _ends(known: Known) -> tuple[tuple[str, DateParameter], tuple[str, DateParameter]]:
    window = known.query.window
    since, until = str(window.since)[1:] if window else "", str(window.until)[1:] if window else ""
    specs = known.query.parameters
    start, end = specs.get(since), specs.get(until)
    if not isinstance(start, DateParameter) or not isinstance(end, DateParameter):
        raise InvalidParameters({known.query.query: "its window is not by two date parameters"})
    return (since, start), (until, end)


def _window(known: Known) -> tuple[DateParameter, DateParameter]:
    (_, since), (_, until) = _ends(known)
    return since, until


def _check_age(view: FeatureView, queries: Sequence[Query]) -> None:
    """Advertising counts nobody for longer who has opted out meanwhile, in a view as little as in an answer."""
    if oldest(view, queries) == view.max_age:
        return
    name = next(known.query.query for known, analysis in queries if is_for_ads(analysis))
    what = f"{name} is for advertising, whose answers are given for {ADS_FRESH_FOR.days} days at most"
    raise InvalidParameters(
        {"max_age": f"{what}: make `max_age` and `refresh` {ADS_FRESH_FOR.days}d or less, or leave the query out"}
    )


def _check_keys(queries: Sequence[Query]) -> None:
    """Keys must be declared: those that are found in the data, or picked by size, differ from release to release."""
    for known, analysis in queries:
        name = known.query.query
        if analysis.top is not None or any(isinstance(key.source, PrivateKeys) for key in analysis.keys):
            raise InvalidParameters({"queries": f"{name} does not answer for the same keys each time"})
        if not analysis.keys:
            raise InvalidParameters({"queries": f"{name} has no key, so it tells nothing by segment"})
    (first, analysis), *others = queries
    for known, other in others:
        if known.dataset.dataset != first.dataset.dataset:
            raise InvalidParameters({"queries": "they are about several datasets"})
        if _keys(other) != _keys(analysis):
            raise InvalidParameters(
                {"queries": f"{first.query.query} and {known.query.query} do not have the same keys and values"}
            )


def _keys(analysis: Analysis) -> list[tuple[str, str, object]]:
    return [(key.name, str(key.kind), _source(key)) for key in sorted(analysis.keys, key=lambda key: key.name)]


def _source(key: KeySpec) -> object:
    return frozenset(map(str, key.source)) if isinstance(key.source, tuple) else key.source


def from_public_table(analysis: Analysis) -> bool:
    """Whether its keys are those of a public table, as it was loaded."""
    return any(isinstance(key.source, KeysFrom) for key in analysis.keys)
