"""What every way to authenticate to a provider has in common."""

import string
from collections.abc import Callable
from dataclasses import dataclass, field

type Fields = tuple[tuple[bytes, bytes], ...]

SECRET_FIELDS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""The fields in which a key or token can stand, in lower case."""

CREDENTIAL_FIELDS = SECRET_FIELDS | {
    b"openai-organization",
    b"openai-project",
    b"x-goog-user-project",
    b"x-amz-date",
    b"x-amz-security-token",
    b"x-amz-content-sha256",
}
"""Every field that a credential sets, or that says whose bill and rights its calls are on. All of them are taken off a
request before one is put on: the session token of a caller's own must not stand beside our signature, and one that
names another organization than the key's would be answered 401, as if the key were bad."""

_PRINTABLE = frozenset(string.ascii_letters + string.digits + string.punctuation)


class CredentialUnavailable(Exception):  # noqa: N818 - a state, and its answer is 503
    """What we would show the provider cannot be had at the moment; `str()` says why, for the log and the record."""

    code = "upstream_credential_unavailable"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it will stand on the wire to the provider. `target` is path and query, `authority` what stands in
    the Host field; `fields` are the others."""

    method: str
    scheme: str
    authority: str
    target: str
    fields: Fields
    body: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """What to show a provider, ready at hand. A key or token that changes is another credential.

    `label` is the settings' word for it; `name` tells two versions of it apart and gives nothing away. `sign`, where
    there is one, gives what is to be added to `fields` for one request. It never waits, but hashes the body: call it
    off the event loop for a large one (it may be called from any thread).
    """

    label: str
    name: str
    fields: Fields = field(repr=False)
    sign: Callable[[Outgoing], Fields] | None = field(default=None, repr=False)


def bearer(label: str, token: str, *more: tuple[bytes, bytes]) -> Credential:
    """A token in `Authorization: Bearer` (RFC 6750 §2.1). `more` are fields that go with every call.

    Raises:
        ValueError: it is no token.
    """
    return Credential(label, label, ((b"authorization", b"Bearer " + usable(token).encode("ascii")), *more))


type Naming = Callable[[str], str]
"""secret → a name by which the log tells it from others."""


def usable(secret: str) -> str:
    """The secret, fit for a header field.

    Raises:
        ValueError: it holds what no key and no token has, as a line break that would begin a header of its own.
    """
    if not secret or not _PRINTABLE.issuperset(secret):
        raise ValueError("holds characters that no key has. Write the key alone, on one line")
    return secret
