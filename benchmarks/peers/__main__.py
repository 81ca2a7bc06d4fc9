"""python -m benchmarks.peers: installs the peers into .bench/ from the package registries. Minutes, and about 1.5 GB."""

import subprocess
import sys

from benchmarks.native import BUILT

_VENVS = {"django": ["django", "httpx", "uvicorn[standard]"], "litellm": ["litellm[proxy]"]}
_NODE = {"portkey": "@portkey-ai/gateway"}


def main() -> None:
    for name, packages in _VENVS.items():
        print(f"{name}: {' '.join(packages)}")
        subprocess.run([sys.executable, "-m", "venv", str(BUILT / name)], check=True)
        subprocess.run([str(BUILT / name / "bin" / "pip"), "install", "-q", *packages], check=True)
    for name, package in _NODE.items():
        print(f"{name}: {package}")
        folder = BUILT / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        subprocess.run(["npm", "install", "--no-progress", "--silent", package], cwd=folder, check=True)


if __name__ == "__main__":
    main()
