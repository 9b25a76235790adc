"""A dataset's file with the largest budget there is, and not another word changed: what a sandbox is made of."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.errors import FileError

LARGEST_EPSILON = 1000
_BUDGETS = (("budget", "epsilon"), ("blocks", "budget", "epsilon"))


def with_largest_budget(text: str, file: str) -> str:
    """The text with every epsilon of its budgets in the place of the largest; deltas stay, and so do all prices.

    Raises:
      FileError: it is not a dataset's file, or says more than its budgets where they stand.
    """
    original = parse_dataset(text, file)
    spans = sorted(_spans(yaml.compose(text, Loader=yaml.SafeLoader)), reverse=True)
    made = text
    for first, last in spans:
        made = made[:first] + str(LARGEST_EPSILON) + made[last:]
    if not _alike(original, parse_dataset(made, file)):
        raise FileError(file, "its budget stands where more than it is said: write it out", key="budget")
    return made


def _spans(root: yaml.Node | None) -> Iterator[tuple[int, int]]:
    """Where the budgets' epsilons stand."""
    for path in _BUDGETS:
        node = root
        for name in path:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            node = next((value for key, value in pairs if key.value == name), None)
        if node is not None:
            yield node.start_mark.index, node.end_mark.index


def _alike(one: DatasetFile, other: DatasetFile) -> bool:
    """Whether two definitions differ in the epsilons of their budgets at most."""
    return _without_epsilons(one) == _without_epsilons(other)


def _without_epsilons(dataset: DatasetFile) -> DatasetFile:
    budget = dataset.budget.model_copy(update={"epsilon": 1})
    blocks = dataset.blocks
    if blocks is not None:
        own = blocks.budget.model_copy(update={"epsilon": 1})
        blocks = blocks.model_copy(update={"budget": own})
    return dataset.model_copy(update={"budget": budget, "blocks": blocks})
