"""The sections of the pages, in the order of the left column, and who sees which."""

from __future__ import annotations

from dataclasses import dataclass

from dpstats.access import ALLOWED, Action
from dpstats.ledger.tokens import Identity


@dataclass(frozen=True)
class Section:
    """A part of the pages: where it begins, what it is called, and what whoever sees it may do.

    `also`: where pages of it stand that do not begin so.
    """

    path: str
    label: str
    action: Action
    also: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a page is in this section."""
        return any(path == begins or path.startswith(f"{begins}/") for begins in (self.path, *self.also))


SECTIONS = (
    Section("/queries", "Ask", Action.RELEASE),
    Section("/releases", "Learned", Action.READ, also=("/compare",)),
    Section("/waiting", "Waiting", Action.STEWARD, also=("/proposals",)),
    Section("/rights", "Rights", Action.STEWARD),
    Section("/consent", "Consent", Action.STEWARD),
    Section("/budgets", "Budgets", Action.STEWARD),
    Section("/asked", "Asked", Action.STEWARD, also=("/log",)),
    Section("/ledger", "Ledger", Action.STEWARD),
    Section("/tokens", "Tokens", Action.STEWARD),
)


def sections_of(identity: Identity) -> tuple[Section, ...]:
    """What the identity sees in the left column."""
    return tuple(section for section in SECTIONS if section.action in ALLOWED[identity.role])


def home_of(identity: Identity) -> str:
    """Where somebody begins after signing in; "/welcome" if no section is theirs."""
    return next((section.path for section in sections_of(identity)), "/welcome")
