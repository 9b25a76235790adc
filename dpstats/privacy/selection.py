"""Selecting entries of a vector of scores: the exponential mechanism, alone or k times without repetition.

A unit, added or removed, moves the scores of two candidates apart by at most `sensitivity.per_cell`, the range of the
change: max over candidates of (new - old), or 0, minus min over them, or 0 (so that saturating scores cannot widen it,
because that only moves changes towards 0). One selection of scale s is then epsilon-DP with epsilon
= range / s: in Pr[i] = exp(score_i / s) / sum_j exp(score_j / s), the log-ratio of i is (change_i - soft maximum of the
changes) / s, which lies between -range / s and range / s. It is epsilon-bounded-range too, so epsilon^2 / 8-zCDP (Cesar
and Rogers 2021, after Dong, Durfee and Rogers 2020). Selecting k times without repetition composes k of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dpstats.privacy.mechanism import Mechanism, opendp_measurement, saturate


def select(mechanism: Mechanism, scores: Sequence[int], k: int = 1) -> list[int]:
    """The places of `k` high scores, best drawn first, each place once.

    Args:
      mechanism: a selection.
      scores: whole numbers of any size, saturated to 64 bits; at least `k` of them.

    Raises:
      ValueError: the mechanism adds noise instead, or there are fewer scores than `k`.
    """
    if not mechanism.noise.selects:
        raise ValueError("a noise that is added selects nothing")
    if not 1 <= k <= len(scores):
        raise ValueError("there are fewer candidates than are to be selected")
    return list(opendp_measurement(mechanism.noise, mechanism.scale, k)(saturate(scores)))


def score_gap(mechanism: Mechanism, candidates: int, alpha: float) -> float:
    """How far below the best score a selected one is at most, with probability 1 - alpha, in steps of the scores.

    P(score < best - s (ln candidates + t)) <= exp(-t) (McSherry and Talwar 2007; Dwork and Roth 2014, Thm. 3.11);
    permute-and-flip is never worse (McKenna and Sheldon 2020, Thm. 2).
    """
    return mechanism.scale * math.log(candidates / alpha)
