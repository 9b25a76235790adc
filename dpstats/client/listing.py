"""Lists and budgets as a service sends them, which a notebook shows as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dpstats.client.needs import needed
from dpstats.client.page import Cell, share_bar, table

if TYPE_CHECKING:
    import pandas as pd

ITEMS_SHOWN = 100
COLUMNS = ("created_at", "query", "title", "dataset", "measures", "parameters", "cost", "release_id")
"""What a notebook shows of an item, as far as it has it; the item holds everything."""


class Listing(list[dict[str, Any]]):
    """Items as the service sends them: a list of mappings."""

    def to_pandas(self) -> pd.DataFrame:
        """A row an item, a column for each thing that is known of it.

        Raises:
          ModuleNotFoundError: pandas is not installed.
        """
        needed("pandas", "pandas")
        import pandas as pd

        return pd.DataFrame(list(self))

    def _repr_html_(self) -> str:
        names = [name for name in COLUMNS if any(name in item for item in self)]
        rows = [[Cell(_text(item.get(name))) for name in names] for item in self[:ITEMS_SHOWN]]
        first = f", the first {ITEMS_SHOWN} shown" if len(self) > ITEMS_SHOWN else ""
        return table(f"{len(self)} item{'' if len(self) == 1 else 's'}{first}", [Cell(name) for name in names], rows)


class Budget(dict[str, Any]):
    """A dataset's budget: `epsilon`, `epsilon_spent`, `rho_remaining` ..; with blocks, `blocks`."""

    def _repr_html_(self) -> str:
        rows = [
            _budget_row("for life", self),
            *(_budget_row(block["block"], block) for block in self.get("blocks", ())),
        ]
        head = [Cell("budget"), *(Cell(name, number=True) for name in ("epsilon", "spent", "left"))]
        return table("Privacy budget", head, rows)


def _budget_row(name: str, budget: Mapping[str, Any]) -> list[Cell]:
    cap, spent = budget["epsilon"], budget["epsilon_spent"]
    left = budget.get("epsilon_remaining", cap - spent)
    bar = share_bar(spent / cap if cap else 0.0)
    return [
        Cell(name),
        Cell(f"{cap:g}", number=True),
        Cell(f"{spent:g}", bar, number=True),
        Cell(f"{left:g}", number=True),
    ]


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(_pair(name, part) for name, part in value.items() if part not in (None, 0.0))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _pair(name: str, part: object) -> str:
    """`since=2017-01-01`, `accuracy: households=20`; of a parameter's declaration the name alone."""
    if not isinstance(part, Mapping):
        return f"{name}={part}"
    return name if "type" in part else f"{name}: {_text(part)}"
