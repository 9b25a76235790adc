"""The SQL that queries are written in, loaded whole before any thread reads with it.

sqlglot loads a dialect at its first use, and names it among those it has before it is finished: of several threads that
parse for the first time at once, one could read with half a dialect, and refuse good SQL. An import is made once.
"""

from sqlglot.dialects.duckdb import DuckDB

DIALECT = DuckDB
