"""Why somebody is not let in."""


class IdentityRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """No accepted identity. `code` is one of exchange.decision.CODES; `reason` is for the record alone.

    A reason names rules and settings entries, never bytes of a token.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class ForeignToken(IdentityRefused):
    """A token came where keys of the called API ride too, and no issuer that counts here claims it."""
