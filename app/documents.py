"""Documents: parsed, measured, validated, and kept for the next request with the same text."""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    get_operation_ast,
)
from graphql.language import Lexer, Location, Source, Token, TokenKind
from graphql.language.parser import Parser

from app.errors import RequestError, bad_input
from app.introspection import check_introspection
from app.limits import MAXIMUM_TOKENS, check_name, check_size
from app.seen import Seen
from app.validation import faults

MOST_DOCUMENTS = 256
MOST_TOKENS = 50_000
"""Of all kept documents together: parsed, each takes 200 bytes in a usual document, and twice that in a dense one."""
MOST_ERRORS = 10


class InvalidDocument(RequestError):
    """The document is not GraphQL, or does not fit the schema."""

    def __init__(self, code: str, errors: Sequence[GraphQLError]) -> None:
        super().__init__(code, errors[0].message)
        self.errors = errors

    def formatted(self) -> list[dict[str, Any]]:
        """Every fault with its place in the document."""
        return [{**error.formatted, "extensions": {"code": self.code}} for error in self.errors]


class _LeanLexer(Lexer):
    """Reads a name in one step instead of character by character, since most of a document is names."""

    name = re.compile("[A-Za-z0-9_]*")

    def read_name(self, start: int) -> Token:
        """The name that begins here."""
        found = self.name.match(self.source.body, start)
        assert found
        check_name(found[0])
        return self.create_token(TokenKind.NAME, start, found.end(), found[0])


class _LeanParser(Parser):
    """Leaves no tokens behind: an error needs the places only, and the tokens are a third of what a document takes.

    They also point at each other, so that what is forgotten would stay until all memory is searched for garbage.
    """

    nowhere = Token(TokenKind.SOF, 0, 0, 0, 0)

    def loc(self, start_token: Token) -> Location:
        """Where a node stands."""
        place = Location(start_token, self._lexer.last_token, self._lexer.source)
        place.start_token = place.end_token = self.nowhere
        return place


@dataclass
class Documents:
    """The documents of one schema. Only valid ones are kept, so that faulty ones cannot crowd them out.

    They are kept from the second time on that they are asked for: those that nobody repeats, because a program writes
    values into their texts, would fill all memory there is for them, and crowd out the others.
    """

    schema: GraphQLSchema
    most: int = MOST_DOCUMENTS
    most_tokens: int = MOST_TOKENS
    _kept: OrderedDict[str, DocumentNode] = field(default_factory=OrderedDict)
    _tokens: int = 0
    _seen: Seen = field(default_factory=Seen)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def prepare(self, query: str) -> DocumentNode:
        """The document, ready to be executed. Raises the RequestError that says why it is not."""
        document = self._kept.get(query)
        if document is None:
            document = checked(self.schema, query)
            if self._seen.again(query):
                self._keep(query, document)
        else:
            self._kept.move_to_end(query)
        return document

    def _keep(self, query: str, document: DocumentNode) -> None:
        if _weight(query, document) > self.most_tokens:
            return
        self._kept[query] = document
        self._tokens += _weight(query, document)
        while len(self._kept) > self.most or self._tokens > self.most_tokens:
            self._tokens -= _weight(*self._kept.popitem(last=False))


def _weight(query: str, document: DocumentNode) -> int:
    # Comments are no tokens, but kept with the text.
    return document.token_count + len(query) // 100


def parsed(query: str) -> DocumentNode:
    """What graphql-core's `parse` makes of a text, without its tokens.

    Raises GraphQLSyntaxError, or GRAPHQL_VALIDATION_FAILED for a name that is too long.
    """
    source = Source(query)
    return _LeanParser(source, max_tokens=MAXIMUM_TOKENS, lexer=_LeanLexer(source)).parse_document()


def checked(schema: GraphQLSchema, query: str) -> DocumentNode:
    """The document that a text stands for. Raises InvalidDocument, or the RequestError of a limit."""
    try:
        document = parsed(query)
        check_size(document)
        errors = faults(schema, document, MOST_ERRORS)
    except GraphQLSyntaxError as error:
        raise InvalidDocument("GRAPHQL_PARSE_FAILED", [error]) from error
    except RecursionError as error:
        raise RequestError("GRAPHQL_PARSE_FAILED", "The document is nested too deeply.") from error
    if errors:
        raise InvalidDocument("GRAPHQL_VALIDATION_FAILED", errors)
    check_introspection(schema, document)
    return document


def chosen_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation of this name, or the only one. Raises BAD_USER_INPUT when that cannot be told."""
    definition = get_operation_ast(document, name)
    if definition is None:
        raise bad_input("operationName must name one of the operations in the document.")
    return definition
