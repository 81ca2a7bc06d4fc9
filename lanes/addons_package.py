"""mitmproxy's package of addons, without all its addons.

Importing anything of `mitmproxy.addons` runs that package's `__init__`, which imports every addon there is, flask and
an LDAP client among them. A worker runs three of them: 13 MB less in each, and a third less time until it is ready.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import mitmproxy

_NAME = "mitmproxy.addons"


def install_bare() -> None:
    """Put the package in place without what its `__init__` brings. For a process of our own, before it imports an
    addon; afterwards this does nothing. Each addon can still be imported by its own name."""
    if _NAME in sys.modules:
        return
    spec = ModuleSpec(_NAME, None, is_package=True)
    spec.submodule_search_locations = [str(Path(place) / "addons") for place in mitmproxy.__path__]
    package = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    mitmproxy.addons = package  # type: ignore[attr-defined, unused-ignore]
