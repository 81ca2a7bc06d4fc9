import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ASK = """
import sys, addons.pipeline
print([name for name in ("botocore", "azure.identity", "google.auth") if name in sys.modules])
"""


def test_no_vendors_library_is_imported_where_no_settings_ask_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "[]\n"
