"""What every way to authenticate to a provider has in common."""

import string
from collections.abc import Callable
from dataclasses import dataclass, field

type Fields = tuple[tuple[bytes, bytes], ...]

CREDENTIAL_FIELDS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Every field that a credential sets, in lower case. All of them are taken off a request before one is put on."""

_PRINTABLE = frozenset(string.ascii_letters + string.digits + string.punctuation)


class CredentialUnavailable(Exception):  # noqa: N818 - a state, and its answer is 503
    """What we would show the provider cannot be had at the moment; `str()` says why, for the log and the record."""

    code = "upstream_credential_unavailable"


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """What to show a provider, ready at hand. A key or token that changes is another credential.

    `label` is the settings' word for it; `name` tells two versions of it apart and gives nothing away.
    """

    label: str
    name: str
    fields: Fields = field(repr=False)


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
