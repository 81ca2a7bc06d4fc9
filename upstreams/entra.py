"""Microsoft Entra ID tokens, by azure-identity: Azure OpenAI without a key.

Source: Microsoft Learn, "azure-identity": ClientSecretCredential, WorkloadIdentityCredential and
ManagedIdentityCredential. Import it only where the settings ask for it: the library is an extra.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import azure.core.exceptions
import azure.identity

from outbound.way_out import proxies_for
from settings.provider_auth import Entra
from upstreams.credential import bearer
from upstreams.refreshed import NotObtained, Obtained

_TIMEOUT_S = 10
_TRIES_S = 20


def entra_token(auth: Entra) -> Callable[[], Obtained]:
    """What gets a token, each time anew: a source that is kept would give its cached one until five minutes before the
    end."""

    def obtain() -> Obtained:
        try:
            source = _source(auth)
            try:
                got = source.get_token(auth.scope)
            finally:
                source.close()
            return Obtained(bearer("entra", got.token), got.expires_on - time.time())
        except (azure.core.exceptions.AzureError, OSError, ValueError) as problem:
            said = " ".join(str(problem).split())
            raise NotObtained(f"cannot get an Entra token: {said}"[:300]) from problem

    return obtain


def _source(auth: Entra) -> Any:
    """One of azure-identity's credentials: `get_token(scope)` gives `token` and `expires_on`, in Unix time."""
    sending: dict[str, Any] = {
        "use_env_settings": False,  # HTTPS_PROXY may well be this checkpoint
        "connection_timeout": _TIMEOUT_S,
        "read_timeout": _TIMEOUT_S,
        "retry_total": 1,  # the back-off is ours
        "timeout": _TRIES_S,
        "proxies": proxies_for(urlsplit(auth.authority).hostname or ""),
    }
    if auth.ca_file is not None:
        sending["connection_verify"] = str(auth.ca_file)
    if auth.client_secret is None and auth.token_file is None:
        return azure.identity.ManagedIdentityCredential(client_id=auth.client_id, **sending)
    assert auth.tenant is not None
    assert auth.client_id is not None
    # The settings name the authority: there is nothing to discover, and nobody else to ask.
    sending |= {"authority": auth.authority, "disable_instance_discovery": True}
    if auth.client_secret is not None:
        secret = auth.client_secret.read()
        return azure.identity.ClientSecretCredential(auth.tenant, auth.client_id, secret, **sending)
    return azure.identity.WorkloadIdentityCredential(
        tenant_id=auth.tenant, client_id=auth.client_id, token_file_path=str(auth.token_file), **sending
    )
