"""Routes of datasets: what there is, what is left, the ledger, grants and freezes."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers, answers_ledger, asking
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.errors import InvalidParameters
from dpstats.workspace.stewards import is_proposal

router = APIRouter(
    prefix="/v1/datasets", tags=["datasets"], route_class=StrictRoute, generate_unique_id_function=operation_id
)


@router.get("", response_model=answers.Datasets, responses=problems())
def list_datasets(visit: Visit) -> Response:
    """The datasets that the token may see."""
    return JSONResponse({"items": visit.workspace.datasets.all(visit.identity), "next": None})


@router.get("/{dataset}", response_model=answers.Dataset, responses=problems("not-found"))
def get_dataset(dataset: str, visit: Visit) -> Response:
    """One dataset as it is declared: tables, columns, bounds and values."""
    return JSONResponse(visit.workspace.datasets.one(visit.identity, dataset))


@router.get("/{dataset}/budget", response_model=answers.Budget, responses=problems("not-found"))
def get_budget(dataset: str, visit: Visit) -> Response:
    """What is left of a dataset's budget."""
    return JSONResponse(visit.workspace.budgets.one(visit.identity, dataset))


@router.get("/{dataset}/spending", response_model=answers.Spending, responses=problems("not-found"))
def get_spending(dataset: str, visit: Visit) -> Response:
    """The budget over time, until when it lasts, and who and what spends it (steward)."""
    return JSONResponse(visit.workspace.spending.of(visit.identity, dataset))


@router.get("/{dataset}/ledger", response_model=answers_ledger.Ledger, responses=problems("not-found"))
def get_ledger(dataset: str, page: asking.LedgerQuery, visit: Visit) -> Response:
    """Grants and charges, oldest first, and the signed head (steward)."""
    return JSONResponse(visit.workspace.budgets.entries(visit.identity, dataset, page.after, page.limit))


@router.post(
    "/{dataset}/budget/grants",
    status_code=HTTPStatus.CREATED,
    response_model=answers_ledger.Entry,
    responses={HTTPStatus.ACCEPTED: {"model": answers_ledger.Proposal}, **problems("not-found")},
)
def grant_budget(dataset: str, grant: asking.GrantRequest, visit: Visit) -> Response:
    """Raises a dataset's budget for good; gives the ledger's entry, or with 202 what another steward must confirm."""
    try:
        made = visit.workspace.budgets.grant(
            visit.identity, dataset, rho=grant.rho, epsilon=grant.epsilon, reason=grant.reason
        )
    except ValueError as error:
        raise InvalidParameters({"rho" if grant.epsilon is None else "epsilon": str(error)}) from None
    return JSONResponse(made, HTTPStatus.ACCEPTED if is_proposal(made) else HTTPStatus.CREATED)


@router.get("/{dataset}/budget/caps", response_model=answers_ledger.Caps, responses=problems("not-found"))
def get_caps(dataset: str, visit: Visit) -> Response:
    """What each role and purpose may ever charge, what it did, and every change of a cap (steward)."""
    return JSONResponse(visit.workspace.capping.all(visit.identity, dataset))


@router.put("/{dataset}/budget/caps", response_model=answers_ledger.Caps, responses=problems("not-found"))
def set_cap(dataset: str, cap: asking.CapRequest, visit: Visit) -> Response:
    """Sets, changes or ends what a role or a purpose may ever charge (steward)."""
    try:
        return JSONResponse(visit.workspace.capping.change(visit.identity, dataset, cap.wanted))
    except ValueError as error:
        raise InvalidParameters({"purpose" if cap.role is None else "role": str(error)}) from None


@router.put("/{dataset}/frozen", response_model=answers_ledger.FreezeState, responses=problems("not-found"))
def freeze_dataset(dataset: str, freeze: asking.FreezeRequest, visit: Visit) -> Response:
    """Freezes a dataset, so that nobody can ask it anything, or thaws it (steward)."""
    return JSONResponse(visit.workspace.budgets.freeze(visit.identity, dataset, frozen=freeze.frozen))
