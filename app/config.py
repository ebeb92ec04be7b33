"""Settings: the one place where the environment is read. The README's table is made from this class."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.setting_checks import (
    check_database,
    check_mail_server,
    check_sender,
    check_signatures,
    list_of,
    names_host,
)

LONGEST_TIME = 86_400
"""Seconds of a day: nobody waits longer, and more of them than PostgreSQL can count are no time at all."""
SHORTEST_TIME = 0.001
"""Seconds that PostgreSQL can count: less than that is none, which to it means for ever."""


class Misconfigured(Exception):
    """The service cannot run with these settings; the text says what to set."""


class Settings(BaseSettings):
    """Every setting of the service, each an environment variable of the same name in capitals."""

    # What is wrong may hold a password all the same. A variable that is empty counts as not set.
    model_config = SettingsConfigDict(hide_input_in_errors=True, env_ignore_empty=True)

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 15 or newer, as `postgresql://user:password@host/database`, with parameters of libpq "
        "behind it such as `?sslmode=verify-full`. Without it, an embedded PostgreSQL 18 is started.",
    )
    migration_database_url: SecretStr | None = Field(
        None, description="The same database as its owner, for migrations; `DATABASE_URL` when not set."
    )
    listen_database_url: SecretStr | None = Field(
        None,
        description="The same database, reached so that `LISTEN` works (not through a pooler in transaction mode); "
        "at most three connections of each process, for subscriptions, webhooks and messages. "
        "`DATABASE_URL` when not set.",
    )
    database_pool_size: int = Field(
        10,
        ge=1,
        le=200,
        description="Connections of one server process for reading, as many for writing, and at most as many again for "
        "its workers. With more than twice as many statements at once as PostgreSQL has processors, "
        "these only take them from each other: little more is answered, and some of it much later.",
    )
    database_pool_timeout: float = Field(
        5.0,
        ge=SHORTEST_TIME,
        le=LONGEST_TIME,
        description="Seconds a request waits for a connection before it is turned away.",
    )
    statement_timeout: float = Field(
        10.0, ge=SHORTEST_TIME, le=LONGEST_TIME, description="Seconds one SQL statement may take."
    )
    lock_timeout: float = Field(
        5.0, ge=SHORTEST_TIME, le=LONGEST_TIME, description="Seconds one SQL statement may wait for a lock."
    )
    data_directory: Path = Field(
        Path(".data"),
        description="Where the embedded PostgreSQL and the development issuer keep their files.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    public_url: HttpUrl | None = Field(
        None,
        description="Address at which people reach the service, for the links it hands out; "
        "`http://127.0.0.1:PORT` when not set.",
    )
    development: bool = Field(
        False,
        description="Serve the explorer, and sign tokens for the demo persons with a key of our own. "
        "Cannot be switched on together with `OIDC_ISSUER`.",
    )
    oidc_issuer: str | None = Field(
        None, description="OpenID Connect issuer whose tokens are accepted, to the letter as they name it."
    )
    oidc_audience: str | None = Field(None, description="Audience that a token must name.")
    oidc_jwks_url: str | None = Field(
        None,
        description="Where the issuer publishes its keys; by default found through its discovery document.",
    )
    oidc_algorithms: Annotated[list[str], NoDecode] = Field(
        ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"],
        min_length=1,
        description="Signature algorithms that are accepted, as a JSON list.",
    )
    oidc_claim_ibm_id: str = Field("preferred_username", description="Claim that holds the IBMid.")
    oidc_claim_email: str = Field(
        "email", description="Claim that holds the e-mail address; taken at the first sign-in."
    )
    oidc_claim_first_name: str = Field("given_name", description="Claim that holds the first name.")
    oidc_claim_last_name: str = Field("family_name", description="Claim that holds the last name.")
    page_size_limit: int = Field(100, ge=1, le=500, description="Most rows a client may ask for in one page.")
    request_size_limit: int = Field(
        100_000, ge=1_000, description="Largest request body or WebSocket message, in bytes."
    )
    request_timeout: float = Field(
        30.0,
        ge=SHORTEST_TIME,
        le=LONGEST_TIME,
        description="Seconds a client has to send a request, headers and body together.",
    )
    subscriptions_per_socket: int = Field(
        50, ge=1, description="Operations that one WebSocket may have running at once."
    )
    subscriptions_per_process: int = Field(
        5_000, ge=1, description="Subscriptions that one server process serves at once."
    )
    subscription_backlog: int = Field(
        200,
        ge=1,
        description="Events that a client which takes none may fall behind, before its subscription is ended.",
    )
    connection_init_timeout: float = Field(
        5.0,
        ge=SHORTEST_TIME,
        le=LONGEST_TIME,
        description="Seconds a WebSocket has to send `connection_init`.",
    )
    read_engine: bool = Field(
        True,
        description="Answer queries by one compiled SQL statement; otherwise all run through graphql-core.",
    )
    http_profile: Literal["current", "draft-2026"] = Field(
        "current",
        description="Statuses and media types of GraphQL over HTTP: as most clients know them (`current`), or after "
        "the draft of August 2026 (`draft-2026`: 422 for invalid requests, 294 for data with errors).",
    )
    webhook_worker: bool = Field(
        True,
        description="Send webhooks from within each server process; otherwise `account-management webhooks work` does.",
    )
    webhook_private_addresses: bool = Field(
        False,
        description="Let webhooks lead to private addresses and over plain HTTP, for installations within one network. "
        "Whoever manages webhooks can then reach what the server can reach.",
    )

    message_worker: bool = Field(
        True, description="Send messages from the server's processes; `messages work` sends them from others."
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server, as `smtps://user:password@host:465` or `smtp://host:25`. STARTTLS is required with "
        "`?starttls=true` and whenever there is a password. Without it, mail goes to a Maildir in `DATA_DIRECTORY`.",
    )
    smtp_timeout: float = Field(
        30.0, ge=SHORTEST_TIME, le=300, description="Seconds the mail server may take for one message."
    )
    mail_from: str = Field(
        "Account management <no-reply@localhost>",
        description="Sender of messages, as `Name <address>`; must be set together with `SMTP_URL`.",
    )
    portal_url: HttpUrl | None = Field(
        None, description="Address of the application that people use; messages link to it."
    )
    privilege_use_interval: float = Field(
        60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a server process writes down which privileges members have used; one that is "
        "killed loses what it has seen since the last time.",
    )
    log_format: Literal["console", "json"] = Field("console", description="`console` or `json`.")

    @property
    def base_url(self) -> str:
        """What links begin with, without a slash at the end."""
        return str(self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @field_validator("database_url", "migration_database_url", "listen_database_url", "smtp_url")
    @classmethod
    def a_server(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """The URL is one that the service can use."""
        if value is not None:
            check = check_mail_server if info.field_name == "smtp_url" else check_database
            check(value.get_secret_value())
        return value

    @field_validator("oidc_jwks_url")
    @classmethod
    def an_address_to_fetch_from(cls, value: str | None) -> str | None:
        """Keys are fetched from there."""
        if value is not None and not names_host(value, "http", "https"):
            raise ValueError("write it as https://host/path")
        return value

    @field_validator("oidc_algorithms", mode="before")
    @classmethod
    def a_list(cls, value: Any) -> Any:
        """The environment has texts only."""
        return list_of(value)

    @field_validator("oidc_algorithms")
    @classmethod
    def public_keys_only(cls, value: list[str]) -> list[str]:
        """Whoever can check a signature must not be able to make one."""
        check_signatures(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def an_address(cls, value: str) -> str:
        """The sender has an address that a header can hold."""
        check_sender(value)
        return value

    @model_validator(mode="after")
    def a_sender_of_our_own(self) -> Self:
        """Mail from nobody in particular would be refused everywhere."""
        if self.smtp_url and "mail_from" not in self.model_fields_set:
            raise ValueError("SMTP_URL needs MAIL_FROM: the address that messages come from")
        return self

    @model_validator(mode="after")
    def an_issuer_that_can_be_asked(self) -> Self:
        """Where its keys are has to be known, or to be found out from it."""
        if self.oidc_issuer and not self.oidc_jwks_url and not names_host(self.oidc_issuer, "http", "https"):
            raise ValueError("OIDC_ISSUER: write it as https://host/path, or set OIDC_JWKS_URL as well")
        return self

    @model_validator(mode="after")
    def one_issuer(self) -> Self:
        """A development issuer beside a real one would let anybody in."""
        if self.development and self.oidc_issuer:
            raise ValueError("DEVELOPMENT and OIDC_ISSUER exclude each other: choose who signs the tokens")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("OIDC_ISSUER needs OIDC_AUDIENCE: tokens meant for others must not be accepted")
        return self
