"""Spans around steps of a request, for whoever traces it. Without a tracer they cost a look-up and do nothing.

A step whose duration may depend on rows has none: running, noise and storing never do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

Begin = Callable[[str], AbstractContextManager[object]]
"""Begins the span of this name; it ends with the context."""

TRACER: ContextVar[Begin] = ContextVar("dpstats_tracer", default=nullcontext)
"""What begins the spans of the request at hand; `nullcontext` where nobody traces."""


def span(name: str) -> AbstractContextManager[object]:
    """A span of this name, and of nothing else: no attribute, and no word of an error."""
    return TRACER.get()(name)
