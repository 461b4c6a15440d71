"""The page at ``/``: a person picks a service, types keys and sees values, and how old and why each is."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from headrace.server.endpoints import Endpoint

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.server.answering import Answering


def endpoints(answering: Answering) -> list[Endpoint]:  # noqa: ARG001 - all modules of routes are made alike
    """The page, which anyone may have: what it asks for needs the same rights as without it.

    Parameters
    ----------
    answering : Answering
        Not asked: the page asks the server's own paths, ``/v1/services`` and ``/get-online-features``.
    """
    html = files("headrace.server").joinpath("static", "serve.html").read_bytes()
    headers = page_headers(html)

    async def page(_: Request) -> Response:
        return Response(html, media_type="text/html", headers=headers)

    return [Endpoint("GET", "/", page, "anyone")]


_PART: Final = rb"<%b>(.*?)</%b>"


def page_headers(html: bytes) -> dict[str, str]:
    """What a browser is told of a page: only its own script and style run, and it speaks with this server alone.

    Parameters
    ----------
    html : bytes
        The page.

    Examples
    --------
    >>> page_headers(b"<script>1</script>")["Content-Security-Policy"].split("; ")[1]
    "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"
    """
    policy = (
        f"default-src 'none'; script-src {_hashes(html, b'script')}; style-src {_hashes(html, b'style')}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _hashes(html: bytes, tag: bytes) -> str:
    parts = re.findall(_PART % (tag, tag), html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(part).digest()).decode()}'" for part in parts) or "'none'"
