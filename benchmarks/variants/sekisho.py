"""Sekisho's gateway profile with everything on: an ES256 identity, policy, the request on disk (fsync) before it is
forwarded, a copy of the reply, recording. The token is seen once before, as in a day's work.

`recording=False` is a composition for this page alone, see benchmarks.unrecorded."""

import sys
from pathlib import Path

from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import Place

NAME = "Sekisho"
UNRECORDED = "Sekisho, recording off"
MITM_LANE = "Sekisho, mitm lane"
ENVIRONMENT = {"BENCHMARK_KEY": "sk-benchmark"}
"""What its settings name; whoever reads them needs it too."""
_ROOT = Path(__file__).resolve().parent.parent.parent


def start(
    place: Place,
    *,
    name: str = NAME,
    recording: bool = True,
    lane: str = "express",
    workers: int = 1,
    rules: int = 1,
    issuers: int = 1,
    data: Path | None = None,
) -> Running:
    """`rules` and `issuers`: how many there are; what the load sends is met by the last of them."""
    folder, port, config = place.folder, free_port(), place.folder / "config.yaml"
    others = "".join(
        f"{{name: r{n}, domains: [example.com], models: ['model-{n}-*'], operations: [chat]}}, "
        for n in range(rules - 1)
    )
    authority = f", ca_file: '{place.authority}'" if place.authority else ""
    config.write_text(
        f"""
profile: gateway
listen: 127.0.0.1:{port}
data_dir: '{data or folder / "data"}'
workers: {workers}
lane: {lane}
providers:
  openai: {{upstream: '{place.upstream}', api_key: {{env: BENCHMARK_KEY}}{authority}}}
identity:
  domains: [example.com]
  issuers: [{place.issuers.settings(issuers)}]
policies:
  rules: [{others}{{name: all, domains: [example.com], models: ['*'], operations: [chat]}}]
""",
        encoding="utf-8",
    )
    launcher = [str(_ROOT / "run_proxy.py")] if recording else ["-m", "benchmarks.unrecorded"]
    process = start_process(
        [sys.executable, *launcher, "serve", "--config", str(config)],
        place.core, log=folder / "log", env=ENVIRONMENT, cwd=_ROOT,
    )  # fmt: skip
    headers = f"Authorization: Bearer {place.issuers.token(issuers - 1)}\r\n"
    return Running(name, port, process, headers, config if recording else None)


def start_unrecorded(place: Place) -> Running:
    return start(place, name=UNRECORDED, recording=False)


def start_mitm_lane(place: Place) -> Running:
    return start(place, name=MITM_LANE, lane="mitm")
