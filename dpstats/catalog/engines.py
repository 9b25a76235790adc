"""Where a dataset's queries run: DuckDB in the service's own process, or Spark at an address."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from dpstats.catalog.fields import FileModel

_ADDRESS = re.compile(r"local\[([1-9][0-9]{0,2}|\*)\]|spark://[A-Za-z0-9._-]+:[0-9]{1,5}")


def _some_address(raw: str) -> str:
    if not _ADDRESS.fullmatch(raw):
        raise ValueError("must be local[2] or spark://host:7077")
    return raw


class EngineSpec(FileModel):
    """The engine of a dataset. `spark`: the address of a Spark master.

    Tokens and keys do not belong in the address: the file is shown to stewards.
    """

    spark: Annotated[str, AfterValidator(_some_address)]
