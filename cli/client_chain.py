"""A client certificate with its intermediates, as a file that somebody names."""

from pathlib import Path

from cli.failure import WrongUse


def client_chain(path: Path) -> list[bytes]:
    """The certificates in this PEM file as DER, in the order written. Raises WrongUse where there are none."""
    from identities.certificate import chain_in

    try:
        return chain_in(path.read_bytes())
    except ValueError:
        raise WrongUse(f"{path} holds no certificate. Name a PEM file with the caller's certificate first") from None
