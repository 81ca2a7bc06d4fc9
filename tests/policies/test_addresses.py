"""Tunnels lead to the public Internet, and to what the settings name."""

from ipaddress import ip_network

import pytest

from policies.addresses import address_problem, written_address

HOME = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "::1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.100.100.200",
        "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1",
        "2002:7f00:1::", "224.0.0.1", "ff02::1", "255.255.255.255", "192.0.2.1", "2001:db8::1", "nonsense", "",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_what_is_not_of_the_public_internet(address: str) -> None:
    assert address_problem(address, []) is not None


@pytest.mark.parametrize("address", ["104.18.7.192", "2606:4700::6812:7c0", "64:ff9b::6812:7c0"])
def test_the_public_internet_is_fine(address: str) -> None:
    assert address_problem(address, []) is None


@pytest.mark.parametrize(
    ("address", "fine"),
    [("10.9.8.7", True), ("::ffff:10.9.8.7", True), ("fd12::1", True), ("192.168.1.1", False), ("127.0.0.1", False)],
)
def test_networks_of_the_settings_are_fine(address: str, fine: bool) -> None:
    assert (address_problem(address, HOME) is None) is fine


@pytest.mark.parametrize(
    ("host", "is_written"),
    [
        ("127.0.0.1", True), ("::1", True), ("127.1", True), ("2130706433", True), ("0x7f000001", True),
        ("0177.0.0.1", True), ("1.2.3.4.", True), ("0x7f.1", True), ("example.0x1", True),
        ("api.openai.com", False), ("1e100.net", False), ("localhost", False), ("x.c0ffee", False),
    ],
)  # fmt: skip
def test_a_host_written_as_an_address_is_no_name(host: str, is_written: bool) -> None:
    assert (written_address(host) is not None) is is_written
