"""Rules for transparent mode: printed, for both families, nothing changed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from identities.wireguard_key import public_key

LISTENERS = "[{address: '0.0.0.0:3129', mode: transparent}, {address: '[::]:3129', mode: transparent}]"


def printed(folder: Path, *options: str, listen: str = LISTENERS) -> tuple[int, str]:
    config = folder / "config.yaml"
    config.write_text(f"listen: {listen}\ndata_dir: {folder}\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["setup", "transparent", "--config", str(config), *options])
    return done.exit_code, done.output + str(done.exception or "")


def test_rules_are_for_both_families_and_what_comes_in_alone(tmp_path: Path) -> None:
    code, said = printed(tmp_path, "--interface", "br-lan")
    assert code == 0
    assert "table inet sekisho" in said
    assert 'iifname "br-lan" tcp dport 443 redirect to :3129' in said
    assert 'iifname "br-lan" udp dport 443 reject' in said
    assert "output" not in said, "our own connections are left alone"


def test_rules_for_iptables_are_for_both_families(tmp_path: Path) -> None:
    code, said = printed(tmp_path, "--iptables")
    assert code == 0
    assert "iptables ip6tables" in said
    assert "REDIRECT --to-ports 3129" in said


@pytest.mark.parametrize(
    ("listen", "options", "why"),
    [
        ("127.0.0.1:8080", (), "Write in `listen`"),
        (LISTENERS, ("--interface", "eth0; reboot"), "no name of an interface"),
    ],
)
def test_what_cannot_be_printed_is_said(tmp_path: Path, listen: str, options: tuple[str, ...], why: str) -> None:
    code, said = printed(tmp_path, *options, listen=listen)
    assert code != 0
    assert why in said


def test_each_wireguard_peer_is_told_our_key_and_its_port(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    peer = f"{{public_key: '{key}', email: ann@example.com}}"
    config.write_text(
        f"listen: [{{address: '0.0.0.0:51820', mode: wireguard, peer: {peer}}}]\ndata_dir: {tmp_path}\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(app, ["setup", "wireguard", "--config", str(config), "--host", "gw.example.com"])
    assert done.exit_code == 0, done.output
    assert "# ann@example.com" in done.output
    assert f"PublicKey = {public_key(tmp_path)}" in done.output
    assert "Endpoint = gw.example.com:51820" in done.output
    assert (tmp_path / "keys" / "wireguard.key").stat().st_mode & 0o77 == 0


def test_without_a_wireguard_listener_it_says_what_to_write(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"data_dir: {tmp_path}\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["setup", "wireguard", "--config", str(config)])
    assert done.exit_code != 0
    assert "mode: wireguard, peer:" in done.output + str(done.exception)
