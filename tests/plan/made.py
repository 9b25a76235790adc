"""Expressions made at random over the shop's visits, of every function and operator that is understood."""

from __future__ import annotations

import random
from collections.abc import Callable

WHOLE = ("n", "big", "LENGTH(word)", "YEAR(seen)", "CAST(wild AS BIGINT)", "3", "CAST(word AS BIGINT)")
LEAVES = {
    "number": (
        ("n", "paid", "wild", "big", "price"),
        ("0", "1", "2.25", "100", "-1", "1e10", "0.1", "1e300", "9223372036854775807"),
    ),
    "text": (("word",), ("''", "'a'", "'12'", "'2017-03-01'", "'o''x'", "'%a%'")),
    "bool": (("flag",), ("TRUE", "FALSE", "NULL")),
    "time": (("day", "seen"), ("DATE '2017-05-05'", "CAST('2017-01-01' AS DATE)", "TIMESTAMP '2017-05-05 10:00:00'")),
}  # fmt: skip


class Maker:
    """Makes expressions from a seed.

    Args:
      seed: of the choices.
      shown: whether a time may be turned into text, which reads otherwise than in DuckDB (DATE_TRUNC gives a date).
    """

    def __init__(self, seed: int, *, shown: bool = True) -> None:
        self._random, self._shown = random.Random(seed), shown

    def any(self, depth: int) -> str:
        """An expression of any kind."""
        return self.of(self._random.choice(("number", "number", "text", "bool", "time")), depth)

    def of(self, kind: str, depth: int) -> str:
        """An expression of one kind, at most `depth` operations deep."""
        if depth <= 0 or self._random.random() < 0.15:
            columns, literals = LEAVES[kind]
            return self._one(columns if self._random.random() < 0.7 else literals)
        makers = {"number": self._number, "text": self._text, "bool": self._bool, "time": self._time}
        return makers[kind](lambda wanted: self.of(wanted, depth - 1))

    def _one(self, choices: tuple[str, ...] | str) -> str:
        return self._random.choice(choices)

    def _printable(self) -> str:
        return self._one(("number", "text", "bool", "time") if self._shown else ("text", "bool"))

    def _number(self, x: Callable[[str], str]) -> str:
        part = self._one(("year", "month", "day", "hour", "dow", "week", "doy", "minute", "second", "quarter"))
        unit = self._one(("day", "month", "year", "hour", "week", "second"))
        target = self._one(("BIGINT", "INTEGER", "TINYINT", "DOUBLE", "DECIMAL(10,2)", "DECIMAL(5, 0)", "DECIMAL"))
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"({x('number')} {self._one('+-*/')} {x('number')})",
            lambda: f"({self._one(WHOLE)} {self._one(('//', '%'))} {self._one(WHOLE)})",
            lambda: f"(- {x('number')})",
            lambda: f"{self._one(('ABS', 'ROUND', 'FLOOR', 'CEIL', 'CEILING'))}({x('number')})",
            lambda: f"ROUND({x('number')}, {self._one(('2', '-2', '0', '-30', '20'))})",
            lambda: f"{self._one(('LEAST', 'GREATEST', 'COALESCE', 'NULLIF'))}({x('number')}, {x('number')})",
            lambda: f"LENGTH({x('text')})",
            lambda: f"CASE WHEN {x('bool')} THEN {x('number')} ELSE {x('number')} END",
            lambda: f"CASE WHEN {x('bool')} THEN {x('number')} END",
            lambda: f"CASE {x('number')} WHEN {x('number')} THEN {x('number')} WHEN 3 THEN 4 END",
            lambda: f"CAST({x(self._one(('number', 'text', 'bool')))} AS {target})",
            lambda: f"{self._one(('YEAR', 'MONTH', 'DAY', 'HOUR', 'DAYOFWEEK'))}({x('time')})",
            lambda: f"EXTRACT({part} FROM {x('time')})",
            lambda: f"DATE_PART('{part}', {x('time')})",
            lambda: f"DATE_DIFF('{unit}', {x('time')}, {x('time')})",
            lambda: f"(CAST({x('time')} AS DATE) - DATE '2017-01-01')",
        )
        return self._random.choice(forms)()

    def _text(self, x: Callable[[str], str]) -> str:
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"{self._one(('LOWER', 'UPPER', 'TRIM'))}({x('text')})",
            lambda: f"SUBSTR({x('text')}, {self._one(WHOLE)})",
            lambda: f"SUBSTRING({x('text')}, {self._one(WHOLE)}, {self._one(WHOLE)})",
            lambda: f"CONCAT({x('text')}, {x(self._printable())})",
            lambda: f"({x('text')} || {x('text')} || 'x')",
            lambda: f"CAST({x(self._printable())} AS VARCHAR)",
            lambda: f"{self._one(('COALESCE', 'LEAST', 'GREATEST', 'NULLIF'))}({x('text')}, {x('text')})",
            lambda: f"CASE WHEN {x('bool')} THEN {x('text')} ELSE 'z' END",
        )
        return self._random.choice(forms)()

    def _bool(self, x: Callable[[str], str]) -> str:
        compared = self._one(("=", "<>", "<", "<=", ">", ">="))
        anything = self._one(("number", "text", "bool", "time"))
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"({x('number')} {compared} {x('number')})",
            lambda: f"({x('text')} {compared} {x('text')})",
            lambda: f"({x('time')} {compared} {x('time')})",
            lambda: f"({x('bool')} {self._one(('AND', 'OR'))} {x('bool')})",
            lambda: f"(NOT {x('bool')})",
            lambda: f"({x('number')} {self._one(('', 'NOT '))}BETWEEN {x('number')} AND {x('number')})",
            lambda: f"({x('number')} IN (1, 2, 3.5, NULL))",
            lambda: f"({x('text')} NOT IN ('a', 'b'))",
            lambda: f"({x('text')} {self._one(('', 'NOT '))}LIKE {self._pattern()})",
            lambda: f"({x(anything)} IS {self._one(('', 'NOT '))}NULL)",
            lambda: f"({x('bool')} IS {self._one(('', 'NOT '))}TRUE)",
            lambda: "(day >= '2017-01-01')",
            lambda: f"COALESCE({x('bool')}, FALSE)",
            lambda: f"CAST({x(self._one(('number', 'text')))} AS BOOLEAN)",
            lambda: "(code = code)",
        )
        return self._random.choice(forms)()

    def _pattern(self) -> str:
        return self._one(("'a%'", "'%_'", "'\\'", "'%''%'"))

    def _time(self, x: Callable[[str], str]) -> str:
        unit = self._one(("day", "week", "month", "quarter", "year", "hour", "minute"))
        step = f"INTERVAL {self._one(('1', '999999', '7'))} {self._one(('DAY', 'MONTH', 'YEAR', 'HOUR', 'WEEK'))}"
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"DATE_TRUNC('{unit}', {x('time')})",
            lambda: f"({x('time')} {self._one('+-')} {step})",
            lambda: f"(day {self._one('+-')} {self._one(WHOLE)})",
            lambda: f"CAST({x('text')} || '' AS {self._one(('DATE', 'TIMESTAMP'))})",
            lambda: f"CAST({x('time')} AS {self._one(('DATE', 'TIMESTAMP'))})",
            lambda: f"{self._one(('COALESCE', 'LEAST', 'GREATEST', 'NULLIF'))}({x('time')}, {x('time')})",
            lambda: f"CASE WHEN {x('bool')} THEN {x('time')} ELSE {x('time')} END",
        )
        return self._random.choice(forms)()
