"""Dataset and query files: read once, checked, frozen.

The text of a file is hostile until it has passed: whatever is in it, `parse_dataset` and `parse_query` return a frozen
record or raise one `FileError` of one line that names file, line and key. Nothing here knows a database.
"""
