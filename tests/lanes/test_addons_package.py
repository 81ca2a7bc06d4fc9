import subprocess
import sys
import textwrap

import pytest


def loaded(code: str) -> set[str]:
    """What a fresh interpreter has imported after this code."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code) + "\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_a_worker_imports_no_web_framework_and_no_ldap_client() -> None:
    modules = loaded("""
        from pathlib import Path
        from cli import roles
        roles._stop_with_parent = lambda: None
        assert roles.worker(Path("no-such-file.yaml"), 1, None) == 3
    """)

    assert {"mitmproxy.addons.proxyserver", "mitmproxy.addons.tlsconfig", "lanes.worker"} <= modules
    assert not {"flask", "ldap3"} & {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("addon", ["anticache", "block", "modifyheaders", "proxyserver"])
def test_each_addon_can_still_be_imported_by_its_name(addon: str) -> None:
    modules = loaded(f"""
        from lanes.addons_package import install_bare
        install_bare()
        from mitmproxy.addons import {addon}
        import mitmproxy
        assert mitmproxy.addons.{addon} is {addon}
    """)

    assert f"mitmproxy.addons.{addon}" in modules


def test_what_is_imported_already_stays_as_it_is() -> None:
    modules = loaded("""
        import mitmproxy.addons as before
        from lanes.addons_package import install_bare
        install_bare()
        import mitmproxy.addons
        assert mitmproxy.addons is before
        assert before.default_addons
    """)

    assert "mitmproxy.addons.onboardingapp" in modules
