"""A dataset's declarations as JSON: blocks, tables, columns; never anything counted from the data."""

from __future__ import annotations

from typing import Any

from dpstats.catalog.dataset import Column, DatasetFile


def blocks_view(dataset: DatasetFile) -> dict[str, Any] | None:
    blocks = dataset.blocks
    if blocks is None:
        return None
    budget = {"epsilon": float(blocks.budget.epsilon), "delta": float(blocks.budget.delta)}
    late_rows = blocks.late_rows.model_dump() if blocks.late_rows else "accept"
    return {"column": blocks.column, "every": str(blocks.every), "budget": budget, "late_rows": late_rows}


def table_view(dataset: DatasetFile, name: str) -> dict[str, Any]:
    table = dataset.tables[name]
    return {
        "public": table.public,
        "one_row_per_unit": table.one_row_per_unit,
        "in_place": table.in_place,
        "columns": {column: _column_view(spec) for column, spec in table.columns.items()},
    }


def _column_view(spec: Column) -> dict[str, Any]:
    return {
        "type": str(spec.type),
        "bounds": [float(end) for end in spec.bounds] if spec.bounds else None,
        "values": [str(value) for value in spec.values] if spec.values else None,
        "unit": spec.unit,
        "category": spec.category,
        "purposes": list(spec.purposes) if spec.purposes else None,
        "why": spec.why,
        "sensitive": spec.sensitive,
        "retention_days": spec.retention.total_seconds() / 86400 if spec.retention else None,
        "never_disclose": spec.never_disclose,
    }
