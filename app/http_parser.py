"""Reading HTTP: httptools, for which whatever follows the announcement of any upgrade is no HTTP any more."""

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Parser(HttpRequestParser):
    """Reads the requests of a connection, also those that announce an upgrade which is ignored, with their bodies."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        super().__init__(protocol)
        # As uvicorn has it: the request with which a client closes is answered, whatever comes behind it.
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self.protocol = protocol

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        """Read on. Raises HttpParserUpgrade at what is no HTTP."""
        parser, rest = self, memoryview(data)
        while True:
            try:
                # The method that is overridden: each such request would be a call within that of the one before.
                HttpRequestParser.feed_data(parser, rest)
            except HttpParserUpgrade as upgrade:
                if not parser.is_upgrade_ignored():
                    raise
                parser, rest = parser._reading_again(), rest[upgrade.args[0] :]
            else:
                return

    def is_upgrade_ignored(self) -> bool:
        """Whether an upgrade is announced that is none to a WebSocket. What follows a CONNECT is never HTTP."""
        if not self.should_upgrade() or self.protocol._should_upgrade():
            return False
        return self.get_method() != b"CONNECT"

    def _reading_again(self) -> "Parser":
        """A parser that has read the head as if no upgrade had been announced (RFC 9110, 7.8), and goes on."""
        protocol, version = self.protocol, self.get_http_version().encode()
        fields = b"".join(b"%s: %s\r\n" % field for field in protocol.headers if field[0] != b"upgrade")
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.get_method(), protocol.url, version, fields)
        protocol.parser = parser = Parser(protocol)
        parser.feed_data(head)
        return parser
