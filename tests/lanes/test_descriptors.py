"""As many callers as the settings say are served, or as the system allows; never until nothing more can be opened."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import logging, resource, sys
from lanes.descriptors import room_for
logging.basicConfig(stream=sys.stderr)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(room_for(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "room", "limit", "said"),
    [
        (4000, 4000, 1000, 4000, False),
        (1024, 4000, 1000, 2256, False),
        (256, 1256, 500, 1256, True),
        (128, 128, 8, 128, True),
    ],
    ids=["enough", "raised", "too few", "hardly any"],
)
def test_the_limit_of_open_files_is_raised_and_else_fewer_callers_are_let_in(
    soft: int, hard: int, room: int, limit: int, said: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), str(hard)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [str(room), str(limit)]
    assert ("Raise the hard limit" in done.stderr) == said
