"""What each act on a rights request does, in the words that a steward reads before it is done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dpstats.rights.requests import UNVERIFIED_KINDS, Denial

LEVELS_TOLD = {
    "reasonable": "reasonably: at least two facts match",
    "reasonably_high": "with high assurance: at least three facts match, and a declaration is signed",
    "none": "not at all",
}
"""How sure a steward may be of who asks. `high` is another word for the second one."""
DENIALS_TOLD = {
    "no_match": "nothing is held about anybody of that id",
    "insufficient_verification": "it could not be verified who asks",
    "suspected_fraud": "it is likely fraud",
    "not_covered": "the law does not cover it",
    "outside_jurisdiction": "the person is no resident of California",
    "too_many_requests": "it is the third request in 12 months",
    "other": "another reason, in your own words below",
}
"""Why a request may be denied."""


@dataclass(frozen=True)
class Entry:
    """Something to fill in: a choice of (value, text) pairs, or a text."""

    name: str
    label: str
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Act:
    """An act on a request: what it does, in sentences, and the button that names its effect."""

    title: str
    effects: tuple[str, ...]
    button: str
    entries: tuple[Entry, ...] = ()
    grave: bool = False
    back_label: str = "Leave it as it is"
    done: str = field(default="It is noted.", kw_only=True)


_CONFIRM = Act(
    "Was the person told that the request came?",
    (
        "The law wants that told within 10 business days, with how you verify who asks and when you answer.",
        "This service writes to nobody: it notes that you did, with your name and the time.",
    ),
    "Note that the person was told",
    done="It is noted that the person was told.",
)


def _verify(found: Mapping[str, Any]) -> Act:
    gives = {
        "know": "A request to know gives the categories at a reasonable level, and the very pieces at the high one.",
        "delete": "A deletion can be carried out from a reasonable level on; of sensitive data from the high one on.",
    }
    return Act(
        "How sure are you of who asks?",
        (
            "This service proves nobody's identity. It keeps what you assert, with your name; what proves it stays "
            "with you.",
            *([gives[found["type"]]] if found["type"] in gives else []),
        ),
        "Note who asks",
        (
            Entry("level", "How sure you are", options=tuple(LEVELS_TOLD.items())),
            Entry("method", "How it was found out", "For example: signed in to their account; two facts matched."),
        ),
        done="It is noted how sure you are of who asks.",
    )


def _execute(found: Mapping[str, Any]) -> Act:
    dataset = found["dataset"]
    match found["type"]:
        case "delete":
            return Act(
                "Delete what is held about this person?",
                (
                    "From this moment on the person is left out of whatever is loaded, or restored from a backup.",
                    f"The person's rows are erased from {dataset} and from every dataset of the same people, and the "
                    "files are searched for what is left.",
                    "What was released stays, and stays charged. New answers leave the person out.",
                    "There is no way back.",
                ),
                "Delete it, for good",
                grave=True,
                back_label="Delete nothing",
                done="It is deleted. The evidence, and what to tell the person, stand below.",
            )
        case "know":
            return Act(
                "Make the package for this person?",
                (
                    "It holds what may be told at the level that you noted: never what is marked as not to be "
                    "disclosed, and no statistic without its noise.",
                    "It can be fetched once, within a week, by a steward. The next page shows the way, and shows it "
                    "once.",
                ),
                "Make the package",
                back_label="Make none",
            )
        case "opt_out" | "limit":
            return Act(
                "Keep this refusal?",
                (
                    "It is kept as a decision of the person's, and beats everything that was agreed to before.",
                    "Answers go by it from the next consent epoch on.",
                ),
                "Keep the refusal",
                back_label="Keep nothing yet",
                done="The refusal is kept. It counts from the next consent epoch on.",
            )
    return Act(
        "Carry out this correction?",
        (
            f"What {dataset} holds is replaced by what the person says is right, and the old value is erased.",
            "Whatever is loaded later is corrected too, until its source says the same.",
        ),
        "Carry it out",
        (
            Entry("table", "Table", "One that holds people."),
            Entry("column", "Column"),
            Entry("value", "What is true instead"),
            Entry("where", "In which rows", "COLUMN=VALUE, with commas between; empty where a person has one row."),
        ),
        done="It is carried out.",
    )


_EXTEND = Act(
    "Take 45 days more?",
    (
        "The answer is then due on day 90. It can be done once, and only inside the first 45 days.",
        "The person must be told now, and why.",
    ),
    "Take 45 days more",
    (Entry("reason", "Why", "In the words that the person was told."),),
    done="The answer is due 45 days later.",
)


def _deny(found: Mapping[str, Any]) -> Act:
    reasons = [pair for pair in DENIALS_TOLD.items() if _may_deny(found, pair[0])]
    return Act(
        "Deny this request?",
        (
            "The request ends, and the person's id is forgotten. The reason is kept for 24 months.",
            "The person must be told, with the reason.",
            "There is no way back: asked again, it is a new request.",
        ),
        "Deny the request",
        (
            Entry("reason", "Because", options=tuple(reasons)),
            Entry("text", "Your own words", "For another reason alone: what the person was told."),
        ),
        grave=True,
        done="The request is denied.",
    )


def _may_deny(found: Mapping[str, Any], reason: str) -> bool:
    return reason != Denial.INSUFFICIENT_VERIFICATION or found["type"] not in UNVERIFIED_KINDS


_REVOKE = Act(
    "Did the person take it back?",
    ("The request ends, and nothing of it is carried out.", "The person's id is forgotten."),
    "Note that the person took it back",
    done="It is noted that the person took it back.",
)


ACTS = ("confirm", "verify", "execute", "extend", "deny", "revoke")


def act_on(found: Mapping[str, Any], name: str) -> Act:
    """What one of `ACTS` does to a request, as `Rights.one` tells it."""
    match name:
        case "confirm":
            return _CONFIRM
        case "verify":
            return _verify(found)
        case "execute":
            return _execute(found)
        case "extend":
            return _EXTEND
        case "deny":
            return _deny(found)
        case _:
            return _REVOKE
