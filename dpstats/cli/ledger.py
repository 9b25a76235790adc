"""`dpstats ledger`: every grant and charge, and whether the record of them can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, destination, json_bytes, note, say, show, show_json
from dpstats.cli.session import session_of, working
from dpstats.cli.words import number, utc
from dpstats.privacy.blocks import Touched
from dpstats.words import counted

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.ledger.verify import VerifyReport
    from dpstats.workspace import Workspace

app = typer.Typer(help="The ledger: list, verify, export, backup, restore.")

OptionalDataset = Annotated[
    str | None, typer.Argument(metavar="DATASET", parser=inputs.name_text, help="Only this dataset's.")
]
Receipts = Annotated[
    list[Path] | None,
    typer.Option("--head", metavar="FILE", help="A signed head or a release that was kept (JSON); once for each."),
]
_PAGE = 1000


@app.command("list")
def list_(
    context: typer.Context,
    dataset: inputs.DatasetName,
    after: Annotated[int, typer.Option(min=0, max=2**62, metavar="SEQ", help="Only entries after this one.")] = 0,
    as_json: inputs.AsJson = False,
) -> None:
    """List the grants and charges of a dataset, oldest first."""
    with session_of(context).opened() as (workspace, me):
        body = _entries(workspace, me, dataset, after)
    if as_json:
        show_json(body)
    elif not body["entries"]:
        note(f"no entries after {after}")
    else:
        heads = ("seq", "at (UTC)", "kind", "rho", "epsilon", "delta", "by", "for", "blocks")
        rows = tuple(_row(entry) for entry in body["entries"])
        show(Table(heads, rows, numeric=frozenset({"seq", "rho", "epsilon", "delta"})))


def _entries(workspace: Workspace, me: Identity, dataset: str, after: int) -> dict[str, Any]:
    """Every entry after `after`, and the signed head as it was when the last of them was read."""
    body = page = workspace.budgets.entries(me, dataset, after, _PAGE)
    while len(page["entries"]) == _PAGE:
        page = workspace.budgets.entries(me, dataset, page["entries"][-1]["seq"], _PAGE)
        body = {"entries": body["entries"] + page["entries"], "head": page["head"]}
    return body


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    # A charge's epsilon is not its own where rho is counted: epsilons of charges do not add up.
    epsilon = number(entry["epsilon"]) if entry["kind"] == "grant" or entry["rho"] is None else "-"
    amounts = (number(entry["rho"]), epsilon, number(entry["delta"]))
    what = entry["reason"] if entry["kind"] == "grant" else entry["query"]
    charged = Touched(**entry["blocks"]).in_words() if entry["blocks"] else "-"
    by = " and ".join(filter(None, (entry["actor"], entry["confirmed_by"])))
    return str(entry["seq"]), utc(entry["at"]), entry["kind"], *amounts, by, what or "-", charged


@app.command("verify")
def verify(
    context: typer.Context,
    dataset: OptionalDataset = None,
    heads: Receipts = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verify this export instead; it needs no workspace.")
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Verify the ledger: every hash, signature, price, total, release and saved head.

    Exit status 1, and a line for each finding, if anything is wrong.
    """
    from dpstats.ledger.exported import read_export, verify_export
    from dpstats.ledger.heads import head_of_receipt

    receipts = [head_of_receipt(head) for head in heads or ()]
    if export is not None:
        report = verify_export(read_export(export), receipts)
    else:
        with session_of(context).opened(check_ledger=False) as (workspace, me), working("walking the ledger"):
            report = workspace.budgets.verify(me, dataset, receipts)
    if as_json:
        body = {"ok": report.ok, "lineages": report.lineages, "entries": report.entries, "findings": report.findings}
        show_json(body)
    elif report.ok:
        say(_all_well(report))
    if not report.ok:
        note(f"dpstats: the ledger does not verify: {counted(len(report.findings), 'finding')}")
        for finding in report.findings:
            note(f"  {finding}")
        raise typer.Exit(FAILED)


def _all_well(report: VerifyReport) -> str:
    where = f" of {', '.join(report.lineages)}" if report.lineages else ""
    return f"the ledger verifies: {counted(report.entries, 'entry', 'entries')}{where}, nothing wrong"


@app.command("export")
def export(
    context: typer.Context,
    dataset: inputs.DatasetName,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of stdout.")] = None,
) -> None:
    """Write a dataset's whole ledger as JSON.

    With everything that its hashes cover, and the public key.
    """
    with destination(out) as write, session_of(context).opened() as (workspace, me):
        body = workspace.budgets.export(me, dataset)
        write(json_bytes(body))
    if out is not None:
        note(f"wrote {counted(len(body['entries']), 'entry', 'entries')} to {out}")


@app.command("backup")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    keys: Annotated[bool, typer.Option("--keys", help="Put the workspace's keys in as well; keep it safe.")] = False,
) -> None:
    """Save the whole ledger in one file, and consent and rights requests in FILE.consent.

    Of every dataset, each as it is at one moment; the service may go on.
    """
    with session_of(context).opened() as (workspace, _):
        from dpstats.ledger.backup import back_up
        from dpstats.rights.consent_backup import back_up_consent, beside

        heads = back_up(workspace.store.engine, workspace.home, file, keys=keys)
        workspace.rights.tidy()
        back_up_consent(workspace.home, beside(file))
    with_keys = "with the keys" if keys else "without the keys"
    say(f"saved {counted(sum(head.seq for head in heads), 'entry', 'entries')} to {file}, {with_keys}")
    note(f"  consent, rights requests and who was erased are in {beside(file)}")


@app.command("restore")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    heads: Receipts = None,
) -> None:
    """Restore a backup where no ledger is.

    One that is older than a known head is refused. FILE.consent is restored with it, where no consent.db is; else those
    whom it leaves out are added to the one that is there.
    """
    session = session_of(context)
    settings = session.settings()
    from dpstats.ledger import backup as backups
    from dpstats.ledger.heads import head_of_receipt
    from dpstats.rights.consent_backup import ConsentRestored, beside, restore_consent

    receipts = [head_of_receipt(head) for head in heads or ()]
    put: list[ConsentRestored] = []

    def put_consent() -> None:
        # Before the ledger: a workspace that has one must know whom it leaves out.
        if beside(file).exists():
            put.append(restore_consent(session.folder, beside(file)))

    with working("verifying the backup"):
        url = settings.ledger_url.get_secret_value()
        restored = backups.restore(session.folder, file, receipts, url=url, before=put_consent)
    consent = put[0] if put else None
    say(f"restored {counted(sum(head.seq for head in restored.heads), 'entry', 'entries')} in {session.folder}")
    for name in restored.unknown:
        note(
            f"  {name}: no newer head is known, so nothing can tell whether more was charged after this backup; "
            "what was is missing from it. Give the newest receipt with --head, or freeze the dataset and grant less"
        )
    for name in restored.missing_keys:
        note(f"  {name} is missing: without it, a new one chooses other rows, so load the data again")
    if consent is None and not (session.folder / "consent.db").exists():
        note(f"  there is no {beside(file)}: who was erased, and who said no, is not known here any more")
    elif consent is not None and consent.is_whole:
        note(
            "  who was erased, and what was said about consent, is known up to this backup: of what came later, erase "
            "again, and send the decisions again. What was kept back of a deletion, and ended later, is kept again: "
            "`dpstats rights kept`"
        )
    elif consent is not None:
        note("  the consent.db that is there was kept, and whom the backup leaves out was added to it")
    note(
        "  what stewards ended after the backup stands again: look at tokens, approvals, caps, freezes and withdrawn "
        "answers before you serve"
    )
    note("  data are not part of a backup: `dpstats doctor` says which datasets must be loaded again")
