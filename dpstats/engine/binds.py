"""What a plan's SQL binds: its parameters, its keys' values, and the secret by which rows and groups are chosen."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import duckdb

from dpstats.plan.plan import KeyColumn, Plan


def sampling_key_of(key: bytes) -> int:
    """The 64-bit number `$dp_key`, from the workspace's key."""
    return int.from_bytes(hmac.digest(key, b"bounding", hashlib.sha256)[:8], "big")


def bound(
    statement: duckdb.Statement, plan: Plan, sampling_key: int, also: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """A value for each name that a statement binds, of the plan or of what is given `also`.

    Raises:
      KeyError: it binds something that no plan has.
    """
    names = statement.named_parameters
    return {name: also[name] if name in also else _bind(name, plan, sampling_key) for name in names}


def _bind(name: str, plan: Plan, sampling_key: int) -> Any:
    if name == "dp_key":
        return duckdb.Value(sampling_key, duckdb.sqltype("UBIGINT"))
    kind, _, rest = name.partition("_")
    if kind == "k":
        return _key_values(plan.keys[int(rest)])
    if kind == "p":
        return plan.parameter_values[rest]
    raise KeyError(name)


def _key_values(key: KeyColumn) -> Any:
    values = [float(v) if isinstance(v, Decimal) and key.sql_type == "DOUBLE" else v for v in key.values]
    return duckdb.Value(values, duckdb.list_type(duckdb.sqltype(key.sql_type)))
