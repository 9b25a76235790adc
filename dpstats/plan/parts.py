"""A statistic of a query as people know it: its measure's name, bounds and unit of measurement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from dpstats.plan.analysis import Analysis, OutputSpec
from dpstats.plan.arithmetic import Average, Drawn, Quantile, Spread, draws_of
from dpstats.plan.moments import DrawSpec
from dpstats.plan.statistics import Statistic
from dpstats.plan.wording import noun


@dataclass(frozen=True)
class Part:
    """One statistic of a query, for sentences."""

    analysis: Analysis
    statistic: Statistic

    @property
    def specs(self) -> tuple[DrawSpec, ...]:
        """What is drawn for it."""
        return tuple(self.analysis.draws[place] for place in self.statistic.draws)

    @property
    def kind(self) -> str:
        """The kind of its first draw; "rows_sum" for an average or a variance."""
        return self.specs[0].kind

    @property
    def counting(self) -> DrawSpec:
        """The draw whose size decides how a unit's part is weighed: its count of rows or units, else its only draw."""
        return next((spec for spec in self.specs if spec.kind in {"units", "count"}), self.specs[0])

    @property
    def measures(self) -> tuple[OutputSpec, ...]:
        """The measures that are this statistic and nothing else."""
        own = (o for o in self.analysis.outputs if isinstance(o.expression, Drawn | Average | Spread | Quantile))
        return tuple(o for o in own if draws_of(o.expression) <= set(self.statistic.draws))

    @property
    def measure(self) -> OutputSpec | None:
        """The first of those, if there is one."""
        return next(iter(self.measures), None)

    @property
    def names(self) -> str:
        """All of them, for a sentence; else what `name` is."""
        return ", ".join(measure.name for measure in self.measures) or self.name

    @property
    def name(self) -> str:
        """Its measure, or the first one that it is part of."""
        return self.measure.name if self.measure else self.specs[0].name.split(".")[0]

    @property
    def unit(self) -> str | None:
        """The unit of measurement, where its measure has one."""
        return self.measure.unit if self.measure else None

    @property
    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """What the query states for its measure."""
        return self.analysis.query.bounds.get(self.name)

    @property
    def one(self) -> str:
        """What a privacy unit is called."""
        return noun(self.analysis.dataset.privacy_unit)


def parts_of(analysis: Analysis) -> Iterator[Part]:
    """Every statistic but the count of units that only decides which private keys are released."""
    shown = {place for output in analysis.outputs for place in draws_of(output.expression)}
    for statistic in analysis.statistics:
        if shown & set(statistic.draws):
            yield Part(analysis, statistic)
