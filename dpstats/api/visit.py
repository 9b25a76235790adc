"""Who came, and to which workspace: the one dependency of every route under `/v1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from dpstats.errors import Unauthorized
from dpstats.ledger.tokens import Identity
from dpstats.workspace import Workspace

_bearer = HTTPBearer(scheme_name="token", description="a token that a steward made", auto_error=False)


@dataclass(frozen=True)
class Caller:
    """A request's workspace, and whose token it came with."""

    workspace: Workspace
    identity: Identity


async def _caller(
    request: Request, _described: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Caller:
    identity = getattr(request.state, "identity", None)
    if not isinstance(identity, Identity):
        # The middleware lets nobody in without a token; a route that it does not guard stays shut.
        raise Unauthorized
    return Caller(request.app.state.workspace, identity)


async def _workspace(request: Request) -> Workspace:
    found: Workspace = request.app.state.workspace
    return found


Visit = Annotated[Caller, Depends(_caller)]
"""The caller, known by a token. `Security` only describes it in OpenAPI: the middleware has read it already."""

OpenWorkspace = Annotated[Workspace, Depends(_workspace)]
"""The workspace, for the few routes that need no token."""
