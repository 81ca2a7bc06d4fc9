"""LiteLLM's proxy, one worker, no database: it has no record to keep. In a venv of its own under .bench/."""

import json

from benchmarks.native import BUILT
from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import NotInstalled, Place

NAME = "LiteLLM proxy"


def start(place: Place) -> Running:
    program = BUILT / "litellm" / "bin" / "litellm"
    if not program.exists():
        raise NotInstalled("python -m benchmarks.peers")
    folder, port = place.folder, free_port()
    model = {"model": "openai/gpt-4o", "api_base": f"{place.upstream}/v1", "api_key": "sk-benchmark"}
    settings = {
        "model_list": [{"model_name": "gpt-4o", "litellm_params": model}],
        "litellm_settings": {"telemetry": False},
    }
    (folder / "litellm.yaml").write_text(json.dumps(settings), encoding="utf-8")
    command = [str(program), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return Running(NAME, port, start_process(command, place.core, log=folder / "log", env=environment, cwd=folder))
