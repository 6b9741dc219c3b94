"""Who may send a request: tokens with scopes, as dependencies of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lexiseg.errors import RequestError
from lexiseg.serving.gate import facts_of
from lexiseg.serving.records.common import Scope
from lexiseg.serving.service import service_of
from lexiseg.serving.tokens import ANYBODY, Holder

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token of the server, where it asks for one."
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def needs(scope: Scope | None) -> Callable[..., Awaitable[Holder]]:
    """Return a dependency that gives the holder of the token of a request.

    Args:
        scope: What the token must allow; None: any token.
    """

    # A coroutine: FastAPI runs others in a thread, and each request would wait for one.
    async def holder(request: Request, credentials: _Credentials) -> Holder:
        tokens = service_of(request).tokens
        if tokens is None:
            return ANYBODY
        if credentials is None:
            raise RequestError(
                "The server asks for a token. Send it in the header 'Authorization: Bearer TOKEN'.",
                status=401,
                code="LEX-REQ-1122",
            )
        found = tokens.holder(credentials.credentials)
        if found is None:
            raise RequestError(
                "The token is unknown, revoked, or has ended. Ask whoever runs the server for a new one.",
                status=401,
                code="LEX-REQ-1123",
            )
        facts_of(request.scope).holder = found.name
        if scope is not None and scope not in found.scopes:
            raise RequestError(
                f"The token allows {', '.join(sorted(found.scopes))}, not {scope}. Ask for a token with this "
                "scope.",
                status=403,
                code="LEX-REQ-1124",
            )
        return found

    return holder
