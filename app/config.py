"""Settings: the one place where the environment is read. The README's table is made from this class."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings


class Misconfigured(Exception):
    """The service cannot run with these settings; the text says what to set."""


class Settings(BaseSettings):
    """Every setting of the service, each an environment variable of the same name in capitals."""

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 15 or newer, as `postgresql://user:password@host/database`. "
        "Without it, an embedded PostgreSQL 18 is started.",
    )
    migration_database_url: SecretStr | None = Field(
        None, description="The same database as its owner, for migrations; `DATABASE_URL` when not set."
    )
    listen_database_url: SecretStr | None = Field(
        None,
        description="The same database, reached so that `LISTEN` works (not through a pooler in transaction mode); "
        "`DATABASE_URL` when not set.",
    )
    database_pool_size: int = Field(
        10,
        ge=1,
        le=200,
        description="Connections of one server process for reading, and as many for writing.",
    )
    database_pool_timeout: float = Field(
        5.0, gt=0, description="Seconds a request waits for a connection before it is turned away."
    )
    statement_timeout: float = Field(10.0, gt=0, description="Seconds one SQL statement may take.")
    lock_timeout: float = Field(5.0, gt=0, description="Seconds one SQL statement may wait for a lock.")
    data_directory: Path = Field(
        Path(".data"),
        description="Where the embedded PostgreSQL and the development issuer keep their files.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    development: bool = Field(
        False,
        description="Serve the explorer, and sign tokens for the demo persons with a key of our own. "
        "Cannot be switched on together with `OIDC_ISSUER`.",
    )
    oidc_issuer: str | None = Field(None, description="OpenID Connect issuer whose tokens are accepted.")
    oidc_audience: str | None = Field(None, description="Audience that a token must name.")
    oidc_jwks_url: str | None = Field(
        None,
        description="Where the issuer publishes its keys; by default found through its discovery document.",
    )
    oidc_algorithms: list[str] = Field(
        ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"],
        min_length=1,
        description="Signature algorithms that are accepted, as a JSON list.",
    )
    oidc_claim_ibm_id: str = Field("preferred_username", description="Claim that holds the IBMid.")
    oidc_claim_email: str = Field("email", description="Claim that holds the e-mail address.")
    oidc_claim_first_name: str = Field("given_name", description="Claim that holds the first name.")
    oidc_claim_last_name: str = Field("family_name", description="Claim that holds the last name.")
    page_size_limit: int = Field(100, ge=1, le=500, description="Most rows a client may ask for in one page.")
    request_size_limit: int = Field(
        100_000, ge=1_000, description="Largest request body or WebSocket message, in bytes."
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
        5.0, gt=0, description="Seconds a WebSocket has to send `connection_init`."
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
    log_format: str = Field("console", pattern="^(console|json)$", description="`console` or `json`.")

    @model_validator(mode="after")
    def one_issuer(self) -> Self:
        """A development issuer beside a real one would let anybody in."""
        if self.development and self.oidc_issuer:
            raise ValueError("DEVELOPMENT and OIDC_ISSUER exclude each other: choose who signs the tokens")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("OIDC_ISSUER needs OIDC_AUDIENCE: tokens meant for others must not be accepted")
        if any(name.upper() == "NONE" or name.upper().startswith("HS") for name in self.oidc_algorithms):
            raise ValueError("OIDC_ALGORITHMS may only hold algorithms with a public key")
        return self
