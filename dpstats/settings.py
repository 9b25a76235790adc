"""Every setting: its name, type, default and one line of help. Read when a command starts, never at import.

Each comes from the environment as `DPSTATS_<NAME>`; a bad value stops the start and names its key. No setting can
weaken the noise.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dpstats.errors import FileError

_PREFIX = "DPSTATS_"
_ASKING = {"DPSTATS_URL", "DPSTATS_TOKEN"}
"""What programs that ask a service read by custom, as the notebooks do."""
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    home: Path = Field(Path("dpstats-home"), description="the workspace folder: data, ledger, keys")
    ledger_url: SecretStr = Field(
        SecretStr(""),
        description="the ledger's database, postgresql+psycopg://USER:PASSWORD@HOST/NAME; empty: a file in the home",
    )
    host: str = Field("127.0.0.1", description="the address that the service listens on")
    port: int = Field(8471, ge=0, le=65535, description="the port that the service listens on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="processes that serve")
    memory_limit_mb: int = Field(2048, ge=64, description="memory that one query may take, in MiB")
    threads: int = Field(2, ge=1, le=256, description="threads that one query may take")
    token_expires: str = Field(
        "never",
        pattern=r"^(never|[1-9][0-9]{0,2}[mhd])$",
        description="how long a new token lives, unless it is said when it is made: 90d, 12h, or never",
    )
    oidc_issuer: str = Field("", description="the OIDC issuer whose JWTs are taken as tokens too; empty: nobody's")
    oidc_audience: str = Field(
        "", validate_default=True, description="the audience that such a JWT must be for: what the issuer calls this"
    )
    oidc_role_claim: str = Field("dpstats_role", min_length=1, description="the claim that holds a JWT's role")
    oidc_datasets_claim: str = Field(
        "dpstats_datasets", min_length=1, description="the claim that holds the datasets a JWT may see, * for all"
    )
    releases_at_once: int | None = Field(
        None, ge=1, le=256, description="releases that one process computes at once; unset: as many as threads"
    )
    releases_waiting: int = Field(
        32, ge=0, le=1024, description="callers of one process that wait for a release; any more are refused"
    )
    rate_per_minute: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="requests a minute of one caller to one process, by token or subject; unset: any number",
    )
    latency_step_ms: int = Field(
        100, ge=0, le=60_000, description="the service's new releases leave on a grid of so many milliseconds; 0: none"
    )
    consent_epoch_at: str = Field(
        "03:00",
        pattern=r"^(never|([01][0-9]|2[0-3]):[0-5][0-9])$",
        description="when the service closes a consent epoch each day, in UTC: 03:00, or never (cron does it)",
    )
    consent_max_age: str = Field(
        "48h",
        pattern=r"^[1-9][0-9]{0,2}[hd]$",
        description="how old the last consent epoch may be before purposes that ask for consent answer nothing",
    )
    refresh_every: str = Field(
        "never",
        pattern=r"^(never|[1-9][0-9]{0,2}[mhd])$",
        description="how often the service renews the feature views that are due: 1h, or never (cron does it)",
    )
    prepare_every: str = Field(
        "1m",
        pattern=r"^(never|[1-9][0-9]{0,2}[mhd])$",
        description="how often the service looks for approved queries that can be made faster by keeping bounded data "
        "beside the loaded data: 1m, or never (`dpstats dataset prepare` does it)",
    )
    deadline_s: float = Field(60.0, gt=0, description="seconds after which a query is given up, or the wait for one")
    business: str = Field("", max_length=200, description="the business's name, as the public pages tell it")
    contact: str = Field(
        "", max_length=500, description="where people send requests about their data, as the public pages tell it"
    )
    acts_as: Literal["business", "service_provider"] = Field(
        "business", description="for whom the data are held: business, for itself; service_provider, for others"
    )
    disk_encryption: str = Field(
        "", max_length=200, description="how the workspace's disk is encrypted, as the public report tells it"
    )
    webhooks: Path | None = Field(
        None, description="a YAML file that says who is sent alarms and notices, and what signs them; unset: nobody is"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines look on stderr: text or json")
    traces: Literal["off", "otlp"] = Field(
        "off", description="OpenTelemetry traces: off, or otlp (where to, by OTEL_EXPORTER_OTLP_ENDPOINT)"
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, issuer: str) -> str:
        if issuer and (not is_safe_address(issuer) or set("?#") & set(issuer)):
            raise ValueError("must be an https address without query or fragment; http only on this machine itself")
        return issuer

    @field_validator("oidc_audience")
    @classmethod
    def _audience(cls, audience: str, given: ValidationInfo) -> str:
        if bool(audience.strip()) != bool(given.data.get("oidc_issuer", audience)):
            raise ValueError("goes with DPSTATS_OIDC_ISSUER: set both, or neither")
        return audience


def is_safe_address(address: str) -> bool:
    """Whether what comes from this address comes from there: by https, or from this machine itself."""
    try:
        url = urlsplit(address)
        safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _THIS_MACHINE)
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return safe and named and not (url.username or url.password)


def read_settings(**given: object) -> Settings:
    """The settings: what is given (None is not), else the environment, else the defaults.

    Raises:
      FileError: a value is wrong; names its key.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        for theirs, ours in (("Input should be", "must be"), ("String should match pattern", "must have the form")):
            said = said.replace(theirs, ours)
        raise FileError("settings", said, key=_variable(key)) from None


def unread_variables() -> tuple[str, ...]:
    """A line for each variable of the environment that is named as a setting and is none: a typo does nothing."""
    known = {_variable(name) for name in Settings.model_fields} | _ASKING
    given = (name for name in sorted(os.environ) if name.upper().startswith(_PREFIX))
    return tuple(_unread(name) for name in given if name.upper() not in known)


def _unread(name: str) -> str:
    near = get_close_matches(name[len(_PREFIX) :].lower(), Settings.model_fields, n=1, cutoff=0.75)
    return f"{name} is no setting, and nothing reads it" + (f": is {_variable(near[0])} meant?" if near else "")


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"
