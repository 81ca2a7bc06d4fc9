"""What is measured: Sekisho, and what one would pick instead. A peer that is not installed is left out, and named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import MEASURED, OTHERS, Running, free_port, start

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".bench"
TOOLS = Path(sys.executable).parent


class NotInstalled(Exception):  # noqa: N818 - said in the table
    """The peer is not here; the message says how to get it."""


def provider(_folder: Path, _upstream: int) -> Running:
    port = free_port()
    return Running("provider", port, start([sys.executable, "-m", "benchmarks.provider", str(port)], OTHERS, cwd=ROOT))


def direct(_folder: Path, upstream: int) -> Running:
    return Running("direct", upstream)


def nginx(folder: Path, upstream: int) -> Running:
    program = shutil.which("nginx")
    if program is None:
        raise NotInstalled("apt-get install nginx")
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
        events {{ worker_connections 8192; }}
        http {{
          access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          upstream provider {{ server 127.0.0.1:{upstream}; keepalive 256; }}
          server {{ listen 127.0.0.1:{port}; client_max_body_size 64m;
            location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
                          proxy_buffering off; proxy_request_buffering off; }} }}
        }}
        """,
        encoding="utf-8",
    )
    return Running("nginx", port, start([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], MEASURED))


def mitmdump(folder: Path, upstream: int) -> Running:
    (folder / "stream.py").write_text("def responseheaders(flow):\n    flow.response.stream = True\n", encoding="utf-8")
    port = free_port()
    command = [str(TOOLS / "mitmdump"), "-q", "--mode", f"reverse:http://127.0.0.1:{upstream}", "--listen-host", "127.0.0.1",
               "-p", str(port), "-s", str(folder / "stream.py"), "--set", f"confdir={folder}/mitm"]  # fmt: skip
    return Running("bare mitmdump", port, start(command, MEASURED))


def sekisho(
    folder: Path,
    upstream: int,
    *,
    name: str = "Sekisho",
    more: str = "",
    rules: str = "",
    record: bool = True,
    core: str = MEASURED,
) -> Running:
    """The gateway profile with everything on: identity, policy, tee, journal with fsync before forwarding, recording."""
    folder = folder / name.replace(" ", "-")
    folder.mkdir()
    port, config = free_port(), folder / "config.yaml"
    config.write_text(
        f"""
profile: gateway
listen: 127.0.0.1:{port}
data_dir: {folder}/data
providers:
  openai: {{upstream: 'http://127.0.0.1:{upstream}', api_key: {{env: BENCH_KEY}}}}
identity:
  domains: [example.com]
  issuers: [{{name: own, kind: own_token}}]
policies:
  rules: [{rules}{{name: all, domains: [example.com], models: ['*'], operations: [chat]}}]
{more}""",
        encoding="utf-8",
    )
    environment = {**os.environ, "BENCH_KEY": "sk-bench"}
    command = [sys.executable, str(ROOT / "run_proxy.py")]
    mint = [*command, "token", "mint", "--config", str(config), "--email", "ann@example.com", "--days", "1"]
    token = subprocess.run(mint, env=environment, capture_output=True, text=True, check=True).stdout.split()[-1]
    if not record:
        command = [sys.executable, "-m", "benchmarks.unrecorded"]
    process = start([*command, "serve", "--config", str(config)], core, env=environment, cwd=ROOT, log=folder / "log")
    return Running(name, port, process, f"Authorization: Bearer {token}", config)


def litellm(folder: Path, upstream: int) -> Running:
    program = PEERS / "litellm" / "bin" / "litellm"
    if not program.exists():
        raise NotInstalled("python -m benchmarks.peers")
    port = free_port()
    model = {"model": "openai/gpt-4o", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-x"}
    settings = {
        "model_list": [{"model_name": "gpt-4o", "litellm_params": model}],
        "litellm_settings": {"telemetry": False},
    }
    (folder / "litellm.yaml").write_text(json.dumps(settings), encoding="utf-8")
    command = [str(program), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR",
                   "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}  # fmt: skip
    return Running("LiteLLM proxy", port, start(command, MEASURED, env=environment, log=folder / "litellm.log"))


def portkey(folder: Path, upstream: int) -> Running:
    script = PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    node = shutil.which("node")
    if node is None or not script.exists():
        raise NotInstalled("python -m benchmarks.peers")
    port = free_port()
    process = start([node, str(script), "--headless", f"--port={port}"], MEASURED, log=folder / "portkey.log")
    header = f"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{upstream}/v1\r\nAuthorization: Bearer sk-x"
    return Running("Portkey gateway", port, process, header)


def django(folder: Path, upstream: int) -> Running:
    python = PEERS / "django" / "bin" / "python"
    if not python.exists():
        raise NotInstalled("python -m benchmarks.peers")
    port = free_port()
    command = [str(python), "-m", "uvicorn", "--app-dir", str(ROOT / "benchmarks"), "--host", "127.0.0.1", "--port", str(port),
               "--log-level", "error", "--no-access-log", "django_peer:application"]  # fmt: skip
    environment = {
        **os.environ,
        "PEER_UPSTREAM": f"http://127.0.0.1:{upstream}",
        "PEER_DATABASE": str(folder / "peer.db"),
    }
    return Running(
        "Django + httpx + SQLite", port, start(command, MEASURED, env=environment, log=folder / "django.log")
    )


VARIANTS: tuple[Callable[[Path, int], Running], ...] = (direct, nginx, mitmdump, sekisho, litellm, portkey, django)
