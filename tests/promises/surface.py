"""All that can be set, asked or said from outside, and all that lies between rows and noise: the lists of the promise
that nothing can weaken the noise. Whoever adds to one of them asks first what it does to noise, price or bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dpstats.engine import duck, noise
from dpstats.engine.ahead import DrawnAhead, wanted
from dpstats.engine.spark.engine import SparkEngine, open_spark
from dpstats.engine.versions import Engines
from dpstats.library import Library
from dpstats.plan.plan import Draw, Floor, Threshold
from dpstats.privacy import mechanism, selection, threshold
from dpstats.privacy.mechanism import Mechanism, Sensitivity
from dpstats.release import Ask, Road
from dpstats.workspace import Workspace
from dpstats.workspace.selftest import failed_checks, self_test

SETTINGS = {
    "home",
    "ledger_url",
    "host",
    "port",
    "workers",
    "memory_limit_mb",
    "threads",
    "deadline_s",
    "log_format",
    # Who is told that a request came, and when: never of rows.
    "traces",
    "business",
    "contact",
    "token_expires",
    "oidc_issuer",
    "oidc_audience",
    "oidc_role_claim",
    "oidc_datasets_claim",
    "releases_at_once",
    "releases_waiting",
    "rate_per_minute",
    "latency_step_ms",
    # When consent takes effect, and how old it may be: they decide who is counted, never how.
    "consent_epoch_at",
    "consent_max_age",
    # Who is told of clocks and of people's wishes: nothing about an answer.
    "webhooks",
    # As a service provider it refuses more, and answers the same.
    "acts_as",
    # What the public report tells of the host's disk.
    "disk_encryption",
    # How often the service does what `dpstats refresh` does, within the same envelopes.
    "prepare_every",
    "refresh_every",
}

OPTIONS = {
    # Which lines of the log of who asked what are listed.
    "--actor",
    "--query",
    # Who is given data at all, by a contract: never what they are given.
    "--accepts-terms",
    "--after",
    "--agent",
    "--permission",
    "--append",
    # Above which two stewards are asked for: who may raise a budget or approve, never the price or the noise.
    "--approvals-above",
    # What a load brought, for what feature views are renewed: rows and their bounds go by the file alone.
    "--blocks",
    # Of a measurement in workspaces of its own: how many charge at once, and how long its ledger is.
    "--callers",
    "--cap-rho",
    "--dataset",
    "--due",
    # Of a cap on what a role or a purpose may charge: the budget itself stays as it is.
    "--end",
    "--entries",
    "--epsilon",
    # Of a bench in a workspace of its own: how many made-up events it takes in.
    "--events",
    # What the business keeps of a deletion, elsewhere or sealed: everything of the person is erased from the data.
    "--except",
    "--expires",
    "--export",
    # With --sandbox alone: which files the invented data are made of. Their noise is that of any workspace.
    "--files",
    "--features",
    "--format",
    "--fresh",
    "--grace",
    "--grants-above",
    # Sizes of a bench's made-up tables, and where its curves are drawn.
    "--groups",
    "--units",
    "--plot",
    # Of a deployment that a model is asked about, or a bench's own workspace, and the rows that rates are measured on.
    "--datasets",
    "--queries",
    "--releases",
    "--replays",
    "--sample",
    "--head",
    "--home",
    "--host",
    # The shell's completion: it looks names up in the register, and reads nothing else.
    "--install-completion",
    "--json",
    # Which notice is written.
    "--kind",
    "--level",
    "--keys",
    "--method",
    "--new-lineages",
    # The notice that a load's rows were collected under: a load may be refused for it.
    "--notice",
    "--no-new-lineages",
    "--no-sensitive",
    "--once",
    "--out",
    "--parameter",
    "--port",
    "--prune",
    # Whose charges a cap is for; a query's own purpose is in its approved file.
    "--purpose",
    "--reason",
    "--rho",
    "--role",
    "--requests",
    "--rows",
    "--runs",
    # Another workspace, of invented data: the noise is the same, and no one's rows are in it.
    "--sandbox",
    "--seconds",
    "--sensitive",
    # What a correction puts in a person's own rows, as a corrected source would: bounds and noise are the same.
    "--set",
    "--show-completion",
    "--segments",
    "--source",
    "--table",
    "--version",
    # Whether somebody who asks a third time what is held of them is answered.
    "--waive",
    "--where",
    "--workers",
    # Of people's requests, in numbers of requests.
    "--year",
    "--yes",
    "-p",
}

ASKED_OVER_HTTP = {
    "DELETE /v1/queries/{query}/approvals/{version}": {"query", "version"},
    "GET /v1/datasets/{dataset}": {"dataset"},
    "GET /v1/datasets/{dataset}/budget": {"dataset"},
    "GET /v1/datasets/{dataset}/ledger": {"dataset", "after", "limit"},
    "GET /v1/datasets/{dataset}/spending": {"dataset"},
    "GET /v1/features/{view}": {"view", "If-None-Match"},
    "GET /v1/features/{view}/segments": {"view"},
    "GET /v1/log": {"after", "actor", "query"},
    "GET /v1/queries/{query}": {"query"},
    "GET /v1/releases": {"dataset", "query", "cursor", "limit"},
    "GET /v1/releases/{release_id}": {"release_id"},
    # Consent decides whose rows are counted from the next epoch on; what it moves is within one unit's rows.
    "POST /v1/consent/events": {
        "events",
        "dataset",
        "unit",
        "purpose",
        "decision",
        "event_id",
        "source",
        "observed_at",
        "confirms",
        "nonce",
        # From when on the mark of a known minor holds no more: who is counted, never how.
        "turns_16_on",
        # What the person was shown: kept, and looked at by nothing that counts anybody.
        "notice_version",
        "notice_sha256",
        "language",
        "method",
    },
    "GET /v1/consent/receipts/{receipt}": {"receipt"},
    "POST /v1/consent/state": {"dataset", "unit"},
    "POST /v1/consent/signals": {"dataset", "units", "gpc", "gpp", "observed_at", "event_id"},
    "POST /v1/datasets/{dataset}/budget/grants": {"dataset", "rho", "epsilon", "reason"},
    # What a role or a purpose may charge of the budget: a cap takes away, and never adds.
    "GET /v1/datasets/{dataset}/budget/caps": {"dataset"},
    "PUT /v1/datasets/{dataset}/budget/caps": {"dataset", "role", "purpose", "rho", "epsilon", "end", "reason"},
    # What one steward proposed: a budget is raised by two, the noise of a charge by nobody.
    "POST /v1/proposals/{proposal_id}/confirm": {"proposal_id"},
    "POST /v1/proposals/{proposal_id}/decline": {"proposal_id"},
    "POST /v1/features": {"queries", "parameters"},
    "POST /v1/releases/{release_id}/withdrawal": {"release_id", "reason"},
    "POST /v1/queries/{query}/approvals": {"query", "version"},
    "POST /v1/queries/{query}/preview": {"query", "parameters"},
    "POST /v1/queries/{query}/releases": {"query", "parameters", "reuse", "Idempotency-Key"},
    # Requests of people about their own data: they take rows out of a data version, as a load does.
    "GET /v1/rights/packages/{secret}": {"secret"},
    "GET /v1/rights/requests/{request_id}": {"request_id"},
    "POST /v1/rights/requests": {"type", "dataset", "unit", "agent", "permission", "waive"},
    "POST /v1/rights/requests/{request_id}/confirm": {"request_id"},
    "POST /v1/rights/requests/{request_id}/deny": {"request_id", "reason"},
    "POST /v1/rights/requests/{request_id}/execute": {
        "request_id",
        "correction",
        "table",
        "set",
        "where",
        "exceptions",
    },
    "POST /v1/rights/requests/{request_id}/extend": {"request_id", "reason"},
    "POST /v1/rights/requests/{request_id}/verify": {"request_id", "level", "method"},
    # Terms decide who is given data at all.
    "POST /v1/terms/acceptance": {"version"},
    "PUT /v1/datasets/{dataset}/frozen": {"dataset", "frozen"},
}

FILE_KEYS = {
    # Who is sent what is due, and people's wishes; no answer goes there.
    "AlarmsTo": {"url", "secret_file"},
    "RecipientSpec": {"url", "secret_file", "name", "datasets", "told"},
    "WebhooksFile": {"alarms", "recipients"},
    # A block's budget is a cap beside the dataset's, never instead of it.
    # Late rows of an append are dropped one by one, by their own time: that moves no bound, price or noise.
    "Blocks": {"column", "every", "budget", "late_rows"},
    "BudgetSpec": {"epsilon", "delta"},
    "Column": {
        "type",
        "bounds",
        "values",
        "unit",
        "category",
        "purposes",
        "why",
        "sensitive",
        "retention",
        "never_disclose",
        "bounds_why",
        "values_why",
    },
    # A half-width for a size of group that the file states: it decides the price, which is paid, and no noise of it.
    "AccuracyAt": {"half_width", "rows", "units", "values", "denominator"},
    "Contribution": {"max_groups", "max_rows", "max_norm"},
    "CostAccuracy": {"accuracy"},
    "CostEpsilon": {"epsilon"},
    "CostRho": {"rho"},
    "DatasetFile": {
        "dataset",
        "title",
        "description",
        "privacy_unit",
        "budget",
        "blocks",
        "fresh_for",
        "approvals_expire",
        "max_rows_per_unit",
        "min_units",
        # It withholds numbers by their own noise, after it: price, bounds and noise are the same.
        "smallest_group",
        "links",
        "engine",
        "lineage",
        # What notices and assessments tell, and whether a use is refused outright: no plan depends on them.
        "controller",
        "contract",
        "collected_from",
        "disclosed_to",
        "people",
        "notice_at_load",
        "significant_decisions",
        "purposes",
        "tables",
    },
    "Disclosure": {"who", "kind", "categories", "purposes"},
    "DateParameter": {"type", "min", "max", "default"},
    "DeclaredKeys": {"values"},
    # Where the same bounded plan runs; noise and ledger stay in the service.
    "EngineSpec": {"spark"},
    "EnumParameter": {"type", "values", "default"},
    # A view stands releases side by side: it has no SQL, bound or price, and its envelope only refuses.
    "FeatureView": {
        "view",
        "dataset",
        "title",
        "description",
        "segment",
        "queries",
        "parameters",
        "blocks",
        "rename",
        "per",
        "refresh",
        "max_age",
        "reliability",
        "monthly",
    },
    "IntegerParameter": {"type", "min", "max", "default"},
    "KeysFrom": {"table", "column"},
    "LateRows": {"drop_after"},
    "Monthly": {"rho", "epsilon"},
    "PrivateKeys": {"private", "delta"},
    # They decide who is counted, never how: a basis lets sensitive columns be read without consent, at the same noise.
    "Purpose": {"title", "consent", "kind", "basis_7027m", "smallest_group", "max_keys", "needs_consent_since"},
    "QueryFile": {
        "query",
        "dataset",
        "title",
        "description",
        "tags",
        "purpose",
        "sql",
        "parameters",
        "keys",
        "bounds",
        "contribution",
        "candidates",
        "weights",
        "window",
        "cost",
        "fresh_for",
        "cadence",
        # A use that is refused unless the dataset allows it; the noise is the same.
        "significant_decision",
        "why",
    },
    # A table in place brings at most as many rows of a unit as one that is loaded.
    "Table": {"public", "one_row_per_unit", "in_place", "retention_by", "columns"},
    "Window": {"from", "until"},
}

PARAMETERS: dict[Callable[..., Any], tuple[str, ...]] = {
    # Among whose keys the idempotency key counts: whose charge is taken up, never what it buys.
    Ask: ("identity", "query", "parameters", "fresh", "idempotency_key", "key_shared_by"),
    Draw: ("index", "name", "kind", "grid", "mechanism", "bounding", "quantiles", "least"),
    Floor: ("draw", "at", "added"),
    # What is kept of noise is nobody's choice, and how much is wanted changes when it is drawn, not what.
    DrawnAhead: (),
    DrawnAhead.draw: ("self", "mechanism", "exact"),
    DrawnAhead.want: ("self", "draws"),
    wanted: ("plan",),
    Engines: ("data_dir", "key", "memory_limit_mb", "threads", "deadline_s", "datasets_open"),
    # Who accepted the terms that recipients are bound by: it refuses, and nothing else.
    Library: ("registry", "recipients", "acts_as"),
    Mechanism: ("noise", "scale", "sensitivity"),
    Road: ("store", "library", "engines", "turns", "grid", "consent_max_age", "barred"),
    Road.release: ("self", "ask"),
    Road.release_all: ("self", "asks", "envelope"),
    Sensitivity: ("per_cell", "cells", "norm"),
    Threshold: ("draw", "at", "max_groups", "delta_steps"),
    Workspace.open: ("settings", "check_ledger", "served"),
    duck.DuckEngine.run: ("self", "plan"),
    SparkEngine.run: ("self", "plan"),
    open_spark: ("path", "address", "key", "memory_limit_mb", "threads", "deadline_s"),
    # Into how many passes over units the bounding is divided: their answers add up to the same whole numbers.
    duck.open_engine: ("path", "key", "memory_limit_mb", "threads", "deadline_s", "rows_a_pass"),
    failed_checks: ("store",),
    mechanism.calibrate: ("noise", "sensitivity", "amount"),
    mechanism.draw: ("mechanism", "exact"),
    mechanism.measurement: ("mechanism",),
    mechanism.price: ("mechanism",),
    mechanism.opendp_measurement: ("noise", "scale", "k"),
    noise.add_noise: ("plan", "exact"),
    selection.select: ("mechanism", "scores", "k"),
    self_test: ("store",),
    threshold.delta_steps: ("units", "max_groups", "at"),
    threshold.tail: ("mechanism", "at_least"),
    threshold.threshold: ("units", "max_groups", "delta", "floor"),
}

ENVIRONMENT = {
    ("cli/main.py", "envvar"),
    ("settings.py", "BaseSettings"),
    ("settings.py", "environ"),
    ("api/metrics.py", "environ"),
}
"""Where the environment is read: the workspace's folder on the command line, the settings above, and the names of those
that are none.

In a worker it is written once, for `prometheus_client`, which takes the folder of its counters from nowhere else.
"""

NAMES_ONLY_A_TEST_WOULD_NEED = {
    "bypass",
    "debug",
    "deterministic",
    "dry",
    "fake",
    "insecure",
    "mock",
    "monkeypatch",
    "noiseless",
    "override",
    "pretend",
    "reseed",
    "rng",
    "seed",
    "seeded",
    "simulate",
    "stub",
    "unsafe",
}
IN_THE_NOISE_S_ROOMS = NAMES_ONLY_A_TEST_WOULD_NEED | {
    "disable",
    "disabled",
    "factor",
    "force",
    "hook",
    "multiplier",
    "skip",
}
"""Where a name may not even hint at a switch: privacy, engine and the road."""
ALLOWED_THERE = {"disabled_optimizers", "disabled_filesystems"}

MODULES_OF_CHANCE_AND_TESTS = {"random", "numpy", "scipy", "unittest", "mock", "pytest", "hypothesis", "dp_accounting"}
"""Chance comes from OpenDP's sampler and, for ids and keys, from `secrets`."""
