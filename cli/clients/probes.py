"""Does each program on this machine trust the CA? It is asked in the way that counts: by calling a TLS server."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from certificates.authority import Authority
from certificates.loopback import LoopbackServer

_PATIENCE_S: Final = 90.0
_TELLING: Final = re.compile(r"(?i)(certificate|PKIX|x509).*(problem|fail|unable|unknown)|verify error|unable to get")
_AT_ONCE: Final = 2

type Arguments = Callable[[str, int, str, Path], list[str]]
"""(host, port, path, folder to write into) → what the program is given. It must call 127.0.0.1 and ask for the host."""


@dataclass(frozen=True)
class Probe:
    """One program. `without` names variables that are taken out of its environment first; `advice` is what to type when
    it does not trust us; `missing`, what it says when what is tested is not installed; `unable`, when it is, and cannot
    be asked: what it says then, and why. Not every one is `needed`."""

    name: str
    program: str
    arguments: Arguments
    advice: str
    without: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unable: tuple[str, str] | None = None
    given: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one program made of our certificate. `said`: its own last words, where it did not take
    it; why it was not asked."""

    name: str
    state: Literal["trusted", "not trusted", "not installed", "not asked", "no answer"]
    advice: str
    said: str = ""
    needed: bool = True


_PYTHON_PREFIX: Final = """
import socket, sys
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
socket.getaddrinfo = lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
url = f"https://{host}:{port}{path}"
"""
_PYTHON_SSL: Final = """
import urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30).read()
"""
_NODE: Final = """
const [host, port, path] = process.argv.slice(1);
require('https').get({host: '127.0.0.1', port, path, servername: host, headers: {host}, agent: false}, r => r.resume())
  .on('error', e => { console.error(e.message); process.exit(1); });
"""
_JAVA: Final = """
import java.net.Socket; import javax.net.ssl.*;
class Probe {
  public static void main(String[] a) throws Exception {
    Socket plain = new Socket("127.0.0.1", Integer.parseInt(a[1]));
    SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
    SSLSocket s = (SSLSocket) factory.createSocket(plain, a[0], Integer.parseInt(a[1]), true);
    SSLParameters p = s.getSSLParameters(); p.setEndpointIdentificationAlgorithm("HTTPS"); s.setSSLParameters(p);
    s.getOutputStream().write(("GET " + a[2] + " HTTP/1.1\\r\\n\\r\\n").getBytes()); s.getInputStream().read();
  }
}
"""
_GO: Final = """
package main
import ("crypto/tls"; "fmt"; "os")
func main() {
  c, err := tls.Dial("tcp", "127.0.0.1:" + os.Args[2], &tls.Config{ServerName: os.Args[1]})
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
  fmt.Fprintf(c, "GET %s HTTP/1.1\\r\\n\\r\\n", os.Args[3]); c.Read(make([]byte, 1))
}
"""


def _python(body: str) -> Arguments:
    return lambda host, port, path, _folder: ["-c", _PYTHON_PREFIX + body, host, str(port), path]


def _source(name: str, text: str, *before: str) -> Arguments:
    def arguments(host: str, port: int, path: str, folder: Path) -> list[str]:
        file = folder / name
        file.write_text(text, encoding="utf-8")
        return [*before, str(file), host, str(port), path]

    return arguments


def _openssl(host: str, port: int, path: str, folder: Path) -> list[str]:
    del path, folder
    return ["s_client", "-connect", f"127.0.0.1:{port}", "-servername", host, "-verify_hostname", host,
            "-verify_return_error", "-quiet"]  # fmt: skip


def _curl(host: str, port: int, path: str, folder: Path) -> list[str]:
    del folder
    return ["-q", "-sS", "--noproxy", "*", "--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}{path}"]


def _git(host: str, port: int, path: str, folder: Path) -> list[str]:
    del folder
    return ["-c", f"http.curloptResolve={host}:{port}:127.0.0.1", "ls-remote", f"https://{host}:{port}{path}"]


def _advice(client: str) -> str:
    return f'eval "$(sekisho env {client})"'


PROBES: Final = (
    Probe("system store (OpenSSL)", "openssl", _openssl, "sekisho ca install", ("SSL_CERT_FILE", "SSL_CERT_DIR"),
          given="GET {path} HTTP/1.0\r\n\r\n", needed=False),  # whoever sets the variables can do without
    Probe("Python ssl", "python3", _python(_PYTHON_SSL), _advice("python")),
    Probe("Python requests", "python3",
          _python("import requests\nwith requests.Session() as s:\n    s.proxies = {}\n    s.get(url, timeout=30)\n"),
          _advice("python"), missing=("No module named 'requests'",)),
    Probe("Python httpx", "python3", _python("import httpx\nhttpx.get(url, timeout=30)\n"), _advice("python"),
          missing=("No module named 'httpx'",)),
    Probe("Node", "node", lambda host, port, path, _: ["-e", _NODE, host, str(port), path], _advice("node")),
    Probe("curl", "curl", _curl, _advice("curl")),
    Probe("git", "git", _git, _advice("git")),
    Probe("Java", "java", _source("Probe.java", _JAVA), _advice("java"),
          unable=("Module jdk.compiler not", "it is a runtime (JRE) without a compiler for the question")),
    Probe("Go", "go", _source("probe.go", _GO, "run"), _advice("go")),
)  # fmt: skip


def verdicts(authority: Authority, host: str, environment: Mapping[str, str] = os.environ) -> list[Verdict]:
    """What each program that is here says to a certificate of this authority for this host, in the order of PROBES, in
    this environment. Takes some seconds; blocks."""
    # The call goes to this machine, past any proxy.
    without_proxy = {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}
    with LoopbackServer(authority, host) as server, tempfile.TemporaryDirectory() as folder:

        def asked(number: int, probe: Probe) -> Verdict:
            path = f"/probe-{number}"
            return _asked(probe, server, host, path, Path(folder), without_proxy)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(asked, range(len(PROBES)), PROBES))


def _asked(
    probe: Probe, server: LoopbackServer, host: str, path: str, folder: Path, environment: Mapping[str, str]
) -> Verdict:
    program = shutil.which(probe.program, path=environment.get("PATH"))
    if program is None:
        return Verdict(probe.name, "not installed", probe.advice)
    try:
        done = subprocess.run(  # noqa: S603 - programs of the table above
            [program, *probe.arguments(host, server.port, path, folder)],
            env={name: value for name, value in environment.items() if name not in probe.without},
            input=probe.given.format(path=path),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
        said = done.stderr.strip()
    except subprocess.TimeoutExpired:
        return Verdict(probe.name, "no answer", probe.advice, f"nothing within {_PATIENCE_S:.0f} s")
    except OSError as cannot:
        return Verdict(probe.name, "no answer", probe.advice, str(cannot.strerror))
    if any(seen == path or seen.startswith(f"{path}/") for seen in server.paths):
        return Verdict(probe.name, "trusted", probe.advice)
    if any(sign in said for sign in probe.missing):
        return Verdict(probe.name, "not installed", probe.advice)
    if probe.unable is not None and probe.unable[0] in said:
        return Verdict(probe.name, "not asked", probe.advice, probe.unable[1])
    return Verdict(probe.name, "not trusted", probe.advice, _why(said), probe.needed)


def _why(said: str) -> str:
    """The line that names the certificate, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines[-1:] or [""])[0]
