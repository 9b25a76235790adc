"""Spark as a dataset's engine: plans run where the rows are spread out, and bounded whole numbers come back.

A load makes the same DuckDB file as ever, so that minimisation, caps, consent, erasure and corrections are the same
code, and writes its tables beside it as Parquet, which Spark reads. PySpark is imported when a data version of such a
dataset is opened, and not before.
"""
