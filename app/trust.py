"""Whose certificates are trusted where others are called over TLS."""

import ssl
from functools import cache

import httpcore2


@cache
def trusted_certificates() -> ssl.SSLContext:
    """Those of the machine, or of SSL_CERT_FILE.

    Read once, since nobody is served in the 20 ms that it takes, and only when somebody is called: it takes memory.
    """
    return httpcore2.default_ssl_context()
