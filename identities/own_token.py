"""Tokens of our own, for people and programs that have no other issuer: made here, by an administrator, or by people
for themselves once they have signed in (fronts/).
"""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from exchange.call import Json
from exchange.scope import Scope
from identities.issuers.own_token import AUDIENCE, ISSUER, SCOPE
from identities.signing import SigningKeys
from settings.domains import mail_parts

_NAME: Final = "own"


def public_keys_path(data_dir: Path) -> Path:
    """Where the public keys stand, whether they are there yet or not."""
    return SigningKeys(data_dir, _NAME).public_path


def mint(
    data_dir: Path,
    *,
    email: str,
    days: float,
    subject: str | None = None,
    groups: Sequence[str] = (),
    name: str = "",
    scope: Scope | None = None,
    number: str | None = None,
) -> str:
    """A signed token for this address, valid from now on for so many days.

    `subject` is the address when not given; `name` is a label for people; `scope` says what it is for, everything its
    owner may do when not given; `number` is its `jti`, a new one when not given. Any address may be minted for: whether
    its domain passes is decided at the gate.

    Raises:
        ValueError: the address is none, or the days are not a positive number.
        OSError: the keys cannot be read or written.
    """
    parts = mail_parts(email)
    if parts is None:
        raise ValueError(f"{email!r} is not an e-mail address. Write it as in ann@example.com")
    if not 0 < days <= 36600:
        raise ValueError(f"{days} is no number of days. Write one from 1 to 36600")
    now = int(time.time())
    claims: dict[str, Json] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject or "@".join(parts),
        "email": "@".join(parts),
        "jti": number or str(uuid.uuid4()),
        "iat": now,
        "exp": now + max(1, int(days * 86400)),
    }
    if groups:
        claims["groups"] = list(groups)
    if name:
        claims["name"] = name
    if scope is not None:
        claims[SCOPE] = {
            what: list(names)
            for what, names in (("models", scope.models), ("operations", scope.operations))
            if names is not None
        }
    return SigningKeys(data_dir, _NAME).sign(claims)


def public_keys(data_dir: Path) -> list[dict[str, Json]]:
    """The JWKs whose tokens are accepted, the signing one first; empty before the first use."""
    return SigningKeys(data_dir, _NAME).public()


def rotate(data_dir: Path, *, drop_old: bool = False) -> str:
    """As SigningKeys.rotate, for tokens."""
    return SigningKeys(data_dir, _NAME).rotate(drop_old=drop_old)
