"""The steward's pages. To whoever is no steward they are not there: every address answers as a missing one does."""

from __future__ import annotations

from dpstats.web.steward import (
    asked,
    budgets,
    caps,
    consent,
    ledger,
    log,
    proposals,
    rights,
    rights_acts,
    tokens,
    waiting,
)

ROUTERS = (
    waiting.router,
    proposals.router,
    rights.router,
    rights_acts.router,
    consent.router,
    budgets.router,
    caps.router,
    asked.router,
    log.router,
    ledger.router,
    tokens.router,
)
