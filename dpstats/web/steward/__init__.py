"""The steward's pages. To whoever is no steward they are not there: every address answers as a missing one does."""

from __future__ import annotations

from dpstats.web.steward import asked, budgets, ledger, tokens, waiting

ROUTERS = (waiting.router, budgets.router, asked.router, ledger.router, tokens.router)
