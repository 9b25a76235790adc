"""The only reader of rows: files into DuckDB, a `Plan` into an opaque exact answer, and noise over it.

An exact answer leaves this room only through `noise.add_noise`. Errors raised after rows were seen say nothing about
them, and carry no other error that does.
"""
