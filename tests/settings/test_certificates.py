"""Certificates that settings name are looked at before anything is started."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from settings.certificates import certificate_problems
from settings.reading import parse_settings
from tests.identities.certificates import authority, server_tls
from tests.identities.client_certificates import Holder
from tests.identities.client_certificates import authority as another


def problems(
    folder: Path,
    cert: str = "localhost.pem",
    key: str = "localhost.pem",
    ca: str = "ca.pem",
    console: str = "localhost.pem",
    sign_in: str = "ca.pem",
) -> list[str]:
    authority(folder)
    server_tls(folder, "localhost")
    (folder / "empty.pem").touch()
    other: Holder = another()
    other.written(folder / "other.pem")
    return certificate_problems(
        parse_settings(
            f"listen: [{{address: '127.0.0.1:8080', tls: {{cert: '{folder / cert}', key: '{folder / key}'}}}}]\n"
            f"providers: {{openai: {{upstream: 'https://a.example', ca_file: '{folder / ca}'}}}}\n"
            "identity: {domains: [example.com]}\n"
            f"sign_in: {{preset: google, client_id: c, ca_file: '{folder / sign_in}'}}\n"
            "console: {self: true, public_url: 'https://a.example', "
            f"tls: {{cert: '{folder / 'localhost.pem'}', key: '{folder / console}'}}}}\n"
        )
    )


def test_good_ones_are_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda f: problems(f, cert="none.pem"), "none.pem: No such file or directory"),
        (lambda f: problems(f, key="none.pem"), "none.pem: No such file or directory"),
        (lambda f: problems(f, cert="empty.pem"), "are no certificate with its key"),
        (lambda f: problems(f, key="other.pem"), "key values mismatch"),
        (lambda f: problems(f, ca="none.pem"), "providers.openai.ca_file names"),
        (lambda f: problems(f, ca="empty.pem"), "it holds no certificates"),
        (lambda f: problems(f, console="other.pem"), "key values mismatch"),
        (lambda f: problems(f, sign_in="empty.pem"), "it holds no certificates"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_path(
    tmp_path: Path, found: Callable[[Path], list[str]], said: str
) -> None:
    (one,) = found(tmp_path)
    assert said in one
    paths = ("listen[0].tls cannot be used: ", "console.tls cannot be used: ", "providers.openai.ca_file names ")
    assert one.startswith((*paths, "sign_in.ca_file names "))


def test_a_key_with_a_passphrase_is_a_problem_and_asks_nobody(tmp_path: Path) -> None:
    problems(tmp_path)
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", tmp_path / "localhost.pem", "-aes256", "-passout", "pass:x", "-out", locked],
        check=True,
        capture_output=True,
    )
    (said,) = problems(tmp_path, key="locked.pem")
    assert "the key is encrypted; take the passphrase off" in said
