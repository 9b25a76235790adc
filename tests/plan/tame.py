"""Rows that are as rows should be, for comparison with DuckDB's own answers."""

from __future__ import annotations

from shop import Rows, visit

VISITS = [
    visit(
        u,
        item=(u * 7 + i) % 5,
        n=(i * 13) % 55 - 4,
        paid=((u * 311 + i * 917) % 3989) / 40,
        wild=None if i % 7 == 3 else (u - 3) * 10.0 ** (i % 5 - 2),
        big=(i * 7919) % 1000 - 300,
        price=f"{(i * 37) % 20 - 10}.25" if i % 4 else None,
        word=("", "Apple", "o'x", " pear ", "ünï", "12", None, "a_b%c", "2017-03-05")[(u + i) % 9],
        flag=(True, False, None)[(u + i) % 3],
        day=f"2017-{(i % 12) + 1:02}-{(u * 3 + i) % 28 + 1:02}",
        seen=None if i % 11 == 10 else f"2017-{(i % 12) + 1:02}-{(u + i) % 28 + 1:02} {(i * 5) % 24:02}:{u:02}:09.5",
        code=f"00000000-0000-0000-0000-{i:012}",
    )
    for u in range(12)
    for i in range(9)
]
TAME: Rows = {
    "visits": VISITS,
    "people": [(u, ("low", "mid", "high", None)[u % 4], 20 + u) for u in range(10)],
    "calls": [(u, float(i), "ab"[i % 2]) for u in range(6) for i in range(u)],
    "items": [(0, "food", 1.0), (1, "food", 2.0), (2, "toys", 3.0), (3, "books", 4.0), (4, "books", None)],
}
