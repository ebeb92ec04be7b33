"""What tests of the transport have in common."""

from httpx2 import Response

JSON = {"Content-Type": "application/json"}


def code(response: Response) -> str:
    """The code of the first error; fails on anything but a GraphQL error in JSON."""
    assert response.headers["content-type"].startswith("application/")
    found: str = response.json()["errors"][0]["extensions"]["code"]
    return found
