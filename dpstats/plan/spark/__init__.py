"""A plan's SQL in Spark's dialect, meaning the same to the last bit of every whole number that comes back.

sqlglot reads what `plan/sql.py` wrote for DuckDB; each node of its tree is written anew for Spark by a handler that
says how the two engines differ there. What has no handler is refused when the query is checked, never left to chance.
"""
