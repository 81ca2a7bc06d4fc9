"""AWS Signature Version 4, by botocore's own signer: Bedrock with an AWS identity in place of a key.

Source: AWS IAM User Guide, "Create a signed AWS API request". Signed are Host, Content-Type, every X-Amz field and the
body; what a proxy may change on the way (Connection, Accept-Encoding, …) is not. The key pair comes from the settings
or from botocore's own search, and is asked for in the background: instance metadata and STS are a network away. Import
it only where the settings ask for it: the library is an extra.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session

from outbound.way_out import proxies_for
from settings.provider_auth import AwsSigv4
from upstreams.credential import CREDENTIAL_FIELDS, Credential, Fields, Outgoing
from upstreams.refreshed import NotObtained, Obtained

_LIFE_S = 600.0
"""botocore hands out pairs that are good for ten minutes more, or renews them first (its mandatory refresh)."""


class KeyPair(Protocol):
    """botocore's frozen credentials."""

    access_key: str
    secret_key: str
    token: str | None


def signer(auth: AwsSigv4) -> Callable[[], Obtained]:
    """What gets a credential that signs with the key pair of the moment."""
    logging.getLogger("botocore.auth").setLevel(logging.INFO)  # its debug lines hold the session token
    session: botocore.session.Session | None = None  # remembers what it found, and renews it

    def obtain() -> Obtained:
        nonlocal session
        try:
            if auth.access_key_id is not None:
                pair = _named(auth)
            else:
                session = session or _session(auth)
                pair = _found(session)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError, ValueError) as problem:
            session = None  # look anew the next time
            said = " ".join(str(problem).split())
            raise NotObtained(f"cannot get AWS credentials: {said}"[:300]) from problem
        except NotObtained:
            session = None
            raise
        sign = partial(signature, pair=pair, region=auth.region, service=auth.service)
        return Obtained(Credential("aws_sigv4", "aws_sigv4", (), sign), _LIFE_S)

    return obtain


def _named(auth: AwsSigv4) -> KeyPair:
    assert auth.access_key_id is not None
    assert auth.secret_access_key is not None
    token = auth.session_token.read() if auth.session_token is not None else None
    pair: KeyPair = botocore.credentials.ReadOnlyCredentials(
        auth.access_key_id.read(), auth.secret_access_key.read(), token
    )
    return pair


def _session(auth: AwsSigv4) -> botocore.session.Session:
    made = botocore.session.Session(profile=auth.profile)
    if proxies := proxies_for(f"sts.{auth.region}.amazonaws.com"):
        made.set_default_client_config(botocore.config.Config(proxies=proxies))
    return made


def _found(session: botocore.session.Session) -> KeyPair:
    found = session.get_credentials()
    if found is None:
        raise NotObtained(
            "finds no AWS credentials: no environment variables, profile, web identity, container or instance role. "
            "Give the machine a role, or name access_key_id and secret_access_key"
        )
    pair: KeyPair = found.get_frozen_credentials()
    return pair


def signature(outgoing: Outgoing, *, pair: KeyPair, region: str, service: str) -> Fields:
    """The fields that sign this request: X-Amz-Date, Authorization, with a session X-Amz-Security-Token. Its target
    must be ASCII."""
    request = botocore.awsrequest.AWSRequest(
        method=outgoing.method,
        url=f"{outgoing.scheme}://{outgoing.authority}{outgoing.target}",
        data=outgoing.body,
    )
    for name, value in (("host", outgoing.authority), *_covered(outgoing.fields)):
        request.headers.add_header(name, value)
    given = {name.lower() for name in request.headers}
    botocore.auth.SigV4Auth(pair, service, region).add_auth(request)
    return tuple(
        (name.lower().encode("ascii"), value.encode("ascii"))
        for name, value in request.headers.items()
        if name.lower() not in given
    )


def _covered(fields: Fields) -> list[tuple[str, str]]:
    """What of the other fields the signature covers. A value outside ASCII is left out: AWS and botocore would read its
    bytes differently."""
    lowered = [(name.lower(), value) for name, value in fields]
    return [
        (name.decode("ascii"), value.decode("ascii"))
        for name, value in lowered
        if (name == b"content-type" or (name.startswith(b"x-amz") and name not in CREDENTIAL_FIELDS))
        and name.isascii()
        and value.isascii()
    ]
