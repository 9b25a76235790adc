"""`dpstats notice` and `dpstats transparency`: what the public is told, made from the files that gate the queries."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.output import destination, json_bytes, say
from dpstats.cli.session import session_of
from dpstats.errors import FileError, NotFound

notice = typer.Typer(help="The privacy notice: build, check.")
transparency = typer.Typer(help="The public report: build, registry.")


class Form(StrEnum):
    """How a notice or report is written."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


class NoticeKind(StrEnum):
    """Which notice."""

    WHOLE = "whole"
    COLLECTION = "collection"
    POLICY = "policy"


InForm = Annotated[Form, typer.Option("--format", help="markdown, html or json.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file; else to stdout.")]
Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Dataset files; those of the workspace if none is given."),
]


@notice.command("build")
def build_notice(
    context: typer.Context,
    files: Files = None,
    kind: Annotated[
        NoticeKind, typer.Option("--kind", help="whole; collection, for where data come in; or policy, item by item.")
    ] = NoticeKind.WHOLE,
    form: InForm = Form.MARKDOWN,
    out: Out = None,
) -> None:
    """Write the privacy notice: what is collected, what for, for how long, and what people can do.

    One that is built of a workspace is looked over every 12 months: `doctor` tells when. A notice at collection can be
    named by the loads that bring what was collected under it.
    """
    told = _notice(context, files or [])
    written = _of_kind(told, kind)
    with destination(out) as write:
        write(_notice_bytes(written, form))
    if not files:
        with session_of(context).opened() as (workspace, me):
            if kind is NoticeKind.COLLECTION:
                workspace.publishing.note_collection(me, written["version"])
            else:
                workspace.publishing.note_built(me, told["version"])


@notice.command("check")
def check_notice(
    context: typer.Context,
    built: Annotated[Path, typer.Argument(metavar="NOTICE", help="A notice that was built before, in any format.")],
    files: Files = None,
) -> None:
    """Say whether a built notice still tells what the dataset files say; exit status 1 if not."""
    try:
        text = built.read_text("utf-8")
    except (OSError, ValueError):
        raise FileError(str(built), "cannot be read as a notice: build it with `dpstats notice build`") from None
    told = _notice(context, files or [])
    versions = [_of_kind(told, kind)["version"] for kind in NoticeKind]
    version = next((version for version in versions if version in text), None)
    if version is None:
        what = f"is not of the files as they are ({versions[0]}): run `dpstats notice build` again"
        raise FileError(str(built), what)
    say(f"{built} is of the files as they are: {version}")


@transparency.command("build")
def build_transparency(context: typer.Context, form: InForm = Form.MARKDOWN, out: Out = None) -> None:
    """Write the public report: what may be asked, what was spent, and every raise of a budget."""
    with session_of(context).opened() as (workspace, _):
        report = workspace.publishing.transparency()
    with destination(out) as write:
        write(_report_bytes(report, form))


@transparency.command("registry")
def build_record(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", parser=inputs.name_text, help="The dataset that it is of.")
    ],
    out: Out = None,
) -> None:
    """Write a dataset's record, as JSON, for the registry of deployments that OpenDP keeps.

    Its fields follow the registry's template; what is empty, whoever submits it fills in.
    """
    from dpstats.rights.registry_record import record_of

    with session_of(context).opened() as (workspace, _):
        report = workspace.publishing.transparency()
    found = next((each for each in report["datasets"] if each["dataset"] == dataset), None)
    if found is None:
        raise NotFound("dataset", dataset)
    with destination(out) as write:
        write(json_bytes(record_of(report, found)))


def _of_kind(told: dict[str, Any], kind: NoticeKind) -> dict[str, Any]:
    from dpstats.rights.notice_kinds import collection_of, policy_of

    return {NoticeKind.COLLECTION: collection_of, NoticeKind.POLICY: policy_of}.get(kind, dict)(told)


def _notice(context: typer.Context, files: list[Path]) -> dict[str, Any]:
    if not files:
        with session_of(context).opened() as (workspace, _):
            return workspace.publishing.notice()
    from dpstats.catalog.dataset import load_dataset
    from dpstats.rights.notice import Business, notice_of
    from dpstats.settings import read_settings

    settings = read_settings()
    return notice_of(
        Business(settings.business, settings.contact, settings.acts_as), [load_dataset(file) for file in files]
    )


def _notice_bytes(told: dict[str, Any], form: Form) -> bytes:
    if form is Form.JSON:
        return json_bytes(told)
    if form is Form.HTML:
        from dpstats.web.published import privacy_alone

        return privacy_alone(told).encode()
    from dpstats.rights.notice_text import markdown

    return markdown(told, datetime.now(UTC).date()).encode()


def _report_bytes(report: dict[str, Any], form: Form) -> bytes:
    if form is Form.JSON:
        return json_bytes(report)
    if form is Form.HTML:
        from dpstats.web.published import transparency_alone

        return transparency_alone(report).encode()
    from dpstats.rights.transparency_text import markdown

    return markdown(report, datetime.now(UTC).date()).encode()
