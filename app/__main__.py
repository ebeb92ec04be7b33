"""The command line: for operators, and for whoever tries the service."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app import demo, development, doctor
from app.config import Settings
from app.db.embedded import embedded_postgresql
from app.db.engine import create_engine
from app.db.migrate import migrate as apply_migrations
from app.log import configure_logging
from app.schema.schema import build_schema, sdl
from app.site_import import ImportRefused, ImportResult, import_document, import_sites

cli = typer.Typer(
    name="account-management",
    help="Account management of customer sites: who may do what. Settings are environment variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
site = typer.Typer(help="Create sites and read them from files.", no_args_is_help=True)
cli.add_typer(site, name="site")
