"""Google access tokens, by google-auth: Vertex AI without a key.

Source: google-auth user guide: service accounts, Application Default Credentials, workload identity federation. Import
it only where the settings ask for it: the library is an extra.
"""

import datetime
from collections.abc import Callable
from typing import Any

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.service_account
import requests

from outbound.way_out import proxies_for
from settings.provider_auth import Google
from upstreams.credential import bearer
from upstreams.refreshed import NotObtained, Obtained

_TOKENS = "oauth2.googleapis.com"
_TIMEOUT_S = 10.0
_LIFE_S = 3600.0
"""Where Google names no end. Its access tokens live an hour."""


def google_token(auth: Google) -> Callable[[], Obtained]:
    """What gets a token, each time anew; the file or the metadata is looked at again each time."""
    project = ((b"x-goog-user-project", auth.quota_project.encode("ascii")),) if auth.quota_project else ()

    def obtain() -> Obtained:
        with requests.Session() as session:
            session.trust_env = False  # HTTPS_PROXY may well be this checkpoint
            session.proxies = proxies_for(_TOKENS)
            transport = google.auth.transport.requests.Request(session)
            try:
                found = _credentials(auth, transport)
                found.refresh(_bounded(transport))
                if not isinstance(found.token, str):
                    raise NotObtained("came without an access token")
                return Obtained(bearer("google", found.token, *project), _life(found.expiry))
            except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as problem:
                said = " ".join(str(problem).split())
                raise NotObtained(f"cannot get a Google token: {said}"[:300]) from problem

    return obtain


def _credentials(auth: Google, transport: Any) -> Any:
    if auth.credentials_file is not None:
        # Only a service account's: the other kinds name addresses and programs to ask, which ADC is for.
        return google.oauth2.service_account.Credentials.from_service_account_file(
            str(auth.credentials_file), scopes=auth.scopes
        )
    found, _project = google.auth.default(scopes=auth.scopes, request=transport)
    return found


def _bounded(transport: Any) -> Callable[..., Any]:
    """The transport with our own time limit in place of its two minutes."""

    def send(*args: Any, **kwargs: Any) -> Any:
        return transport(*args, **{**kwargs, "timeout": _TIMEOUT_S})

    return send


def _life(expiry: datetime.datetime | None) -> float:
    """Seconds from now on. google-auth's times are UTC, and without a zone."""
    if expiry is None:
        return _LIFE_S
    return (expiry.replace(tzinfo=datetime.UTC) - datetime.datetime.now(datetime.UTC)).total_seconds()
