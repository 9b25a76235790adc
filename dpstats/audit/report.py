"""An audit's findings as JSON, and in words with a bar for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dpstats.audit.findings import ALPHA, FALSE_ALARM, SHARP, DeltaFinding, EpsilonFinding, Finding

WIDTH = 40
"""Characters of a bar that reaches the claim."""
RUNS_OF_THE_BAR = 20_000
"""Runs on both sides from which a tight case's bound should be sharp."""


@dataclass(frozen=True)
class Line:
    """One case in words: the claim, what an adversary can reach of it at best, and the lower bound measured."""

    case: str
    charged: str
    claimed: str
    exact: str
    measured: str
    share: str
    verdict: str


HEADS = ("case", "charged", "epsilon claimed", "exact", "measured", "share", "verdict")


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "passed": not any(finding.exceeds for finding in findings),
        "confidence": 1 - ALPHA,
        "false_alarm": FALSE_ALARM,
        "findings": [finding.as_json() for finding in findings],
    }


def line(finding: Finding) -> Line:
    """A finding in words."""
    claim = finding.claim
    charged = f"epsilon {claim.amount:g}" if claim.pure else f"rho {claim.amount:g}"
    verdict = "EXCEEDS ITS CLAIM" if finding.exceeds else "within its claim"
    share = f"{finding.share:.2f}"
    if isinstance(finding, DeltaFinding):
        charged = f"delta {claim.delta:.3g}"
        return Line(finding.case, charged, "-", charged, f"delta {finding.delta:.3g}", share, verdict)
    exact, measured = (f"{value:.3f}" for value in (claim.exact_epsilon, finding.epsilon))
    return Line(finding.case, charged, f"{claim.epsilon:.3f}", exact, measured, share, verdict)


def plot(findings: Sequence[Finding]) -> list[str]:
    """A bar for each case: the measured bound as a share of what may be reached, which is where the mark stands."""
    width = max(len(finding.case) for finding in findings)
    return [f"{finding.case.ljust(width)}  {_bar(finding.share)} {finding.share:.2f}" for finding in findings]


def _bar(share: float) -> str:
    filled = round(min(share, 2.0) * WIDTH)
    inside = "█" * min(filled, WIDTH) + "·" * max(0, WIDTH - filled)
    return f"{inside}│{'█' * max(0, filled - WIDTH)}"


def legend(findings: Sequence[Finding]) -> list[str]:
    """What the numbers mean."""
    lines = [
        f"measured: a lower bound, true with {1 - ALPHA:.0%} confidence, from noisy answers alone; by chance it may "
        "pass a claim that is kept.",
        f"verdict: at a confidence at which a case that keeps its claim fails once in {1 / FALSE_ALARM:,.0f} audits.",
        "exact: the epsilon that Gaussian noise of this rho gives away (Balle and Wang 2018); the claim is what zCDP "
        "alone guarantees, and a little more.",
    ]
    if any(isinstance(finding, EpsilonFinding) and not finding.tight for finding in findings):
        lines.append(
            "The query is asked at a price at which an audit can see; its bounds and the code of its noise are "
            "its own. The unit is the worst that was found, perhaps not the worst there is."
        )
    if any(isinstance(finding, EpsilonFinding) and not finding.epsilon for finding in findings):
        lines.append(
            "0.000: the unit could not be told in so many runs. That shows nothing, for the claim or against it; more "
            "`--runs` may."
        )
    return lines


def exceeding(findings: Sequence[Finding]) -> str:
    """One line about the cases whose bound is above their claim; "" if there are none."""
    told = [_excess(finding) for finding in findings if finding.exceeds]
    return "the audit measured more than is claimed: " + "; ".join(told) if told else ""


def _excess(finding: Finding) -> str:
    if isinstance(finding, DeltaFinding):
        if finding.invented:
            return f"{finding.case}: {finding.invented} groups appeared that are nobody's"
        return f"{finding.case}: delta is at least {finding.delta:.3g}, {finding.claim.delta:.3g} is charged"
    return f"{finding.case}: epsilon is at least {finding.epsilon:.3f}, {finding.claim.exact_epsilon:.3f} is paid for"


def weak(findings: Sequence[Finding]) -> list[str]:
    """The tight cases whose bound is too far from the claim for so many runs to mean much."""
    return [
        f"{finding.case}: the bound reaches {finding.share:.2f} of the claim, less than {SHARP}: the audit was too weak"
        for finding in findings
        if isinstance(finding, EpsilonFinding) and finding.tight and not finding.sharp
        if finding.tally.runs_in + finding.tally.runs_out >= RUNS_OF_THE_BAR
    ]
