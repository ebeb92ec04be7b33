"""What is written for users is true: settings, commands, examples."""

import json
import re
from pathlib import Path

import pytest
from graphql import parse, validate

from app.__main__ import cli, histories, sites
from app.config import Settings
from app.messages.commands import messages
from app.schema.schema import executable_schema
from tests.world import World


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def test_the_readme_lists_every_setting_as_the_code_has_it(readme: str) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", readme, re.MULTILINE)
    assert [name.lower() for name, _, _ in rows] == list(Settings.model_fields)
    for name, default, meaning in rows:
        field = Settings.model_fields[name.lower()]
        assert meaning == field.description
        written = default.strip("`").replace("–", "")
        assert written.lower() == told(field.default), name


def told(default: object) -> str:
    """A default as it is written in the environment."""
    if default is None:
        return ""
    return (json.dumps(default) if isinstance(default, list) else str(default)).lower()


def test_the_readme_lists_every_command(readme: str) -> None:
    names = [
        command.name or command.callback.__name__ for command in cli.registered_commands if command.callback
    ]
    names += [
        f"{group} {command.name or command.callback.__name__}"
        for group, commands in (("site", sites), ("history", histories), ("messages", messages))
        for command in commands.registered_commands
        if command.callback
    ]
    listed = re.findall(
        r"`((?:site |history |messages )?[a-z-]+)[^`]*`",
        readme[readme.index("| command |") : readme.index("## Settings")],
    )
    assert set(names) <= set(listed)


def test_the_files_and_modules_that_the_readme_names_exist(readme: str, repository: Path) -> None:
    for path in re.findall(r"`((?:app|tests|explorer)/[\w./]*)`", readme) + re.findall(
        r"\]\(([\w./]+)\)", readme
    ):
        assert (repository / path).exists(), path


def test_every_module_is_on_the_map(readme: str, repository: Path) -> None:
    chart = readme[readme.index("## The map of the code") : readme.index("## How to change it")]
    for file in (repository / "app").glob("*.py"):
        assert file.name == "__init__.py" or f"`app/{file.name}`" in chart, file.name


def test_documents_in_the_readme_and_in_the_explorer_are_valid(readme: str, repository: Path) -> None:
    schema = executable_schema()
    documents = re.findall(r"```graphql\n(.*?)```", readme, re.DOTALL)
    examples = json.loads((repository / "app/explorer/examples.json").read_text())
    documents += [example["query"] for example in examples]
    assert len(documents) > 8
    for document in documents:
        assert validate(schema, parse(document)) == [], document


async def test_the_examples_of_the_explorer_answer(world: World, repository: Path) -> None:
    person = await world.person()
    for example in json.loads((repository / "app/explorer/examples.json").read_text()):
        response = await person.post(example["query"], **json.loads(example["variables"]))
        assert "errors" not in response.json(), example["name"]
