"""What a table of answers becomes elsewhere: a frame of pandas or of polars, by way of Arrow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from dpstats.client.needs import needed

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Framed(ABC):
    """A table that tells itself as Arrow, and so as whatever reads that."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """The table; which columns there are, the table says."""

    def to_pandas(self) -> pd.DataFrame:
        """The same table as `to_arrow`; dates are datetime64.

        Raises:
          ModuleNotFoundError: pandas or pyarrow is not installed.
        """
        needed("pandas", "pandas")
        frame: pd.DataFrame = self.to_arrow().to_pandas(date_as_object=False)
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The same table as `to_arrow`, for polars.

        Raises:
          ModuleNotFoundError: polars or pyarrow is not installed.
        """
        needed("polars", "polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        if not isinstance(frame, pl.DataFrame):
            raise TypeError("polars did not make a frame of a table")
        return frame
