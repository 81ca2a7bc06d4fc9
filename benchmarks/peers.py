"""python -m benchmarks.peers: installs the peers into .bench/, from the package registries. Some minutes, ~1.5 GB."""

import subprocess
import sys
from pathlib import Path

from benchmarks.variants import PEERS


def venv(name: str, *packages: str) -> None:
    print(f"{name}: pip install {' '.join(packages)}")
    subprocess.run([sys.executable, "-m", "venv", str(PEERS / name)], check=True)
    subprocess.run([str(PEERS / name / "bin" / "pip"), "install", "-q", *packages], check=True)


def npm(name: str, package: str) -> None:
    print(f"{name}: npm install {package}")
    folder = Path(PEERS / name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    subprocess.run(["npm", "install", "--no-progress", "--silent", package], cwd=folder, check=True)


if __name__ == "__main__":
    venv("django", "django", "httpx", "uvicorn[standard]")
    npm("portkey", "@portkey-ai/gateway")
    venv("litellm", "litellm[proxy]")
