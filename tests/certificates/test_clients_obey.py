"""Do clients honour the limit? A certificate inside it is taken, one outside it is refused, by each that is here."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates.authority import Authority, pem_of
from certificates.loopback import LoopbackServer
from tests.certificates.authorities import limited_to, unlimited

INSIDE, BELOW, OUTSIDE, ADDRESS = "api.openai.com", "eu.api.openai.com", "bank.example", "127.0.0.1"
CASES = pytest.mark.parametrize(
    ("limited", "host", "taken"),
    [
        (True, INSIDE, True),
        (True, BELOW, True),
        (True, OUTSIDE, False),
        (True, ADDRESS, False),
        (False, OUTSIDE, True),  # so that the refusals above are the limit's doing
        (False, ADDRESS, True),
    ],
    ids=["inside", "below", "outside", "address", "outside, no limit", "address, no limit"],
)

_PYTHON = """
import socket, ssl, sys
host, port, trusted = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=trusted)
with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=host) as secured:
    secured.sendall(f"GET /seen HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    secured.recv(100)
"""
_NODE = """
const [host, port, ca] = process.argv.slice(1);
const options = {host: '127.0.0.1', port, path: '/seen', ca: require('fs').readFileSync(ca), agent: false,
  checkServerIdentity: (_, cert) => require('tls').checkServerIdentity(host, cert)};
if (!require('net').isIP(host)) options.servername = host;
require('https').get(options, r => r.resume()).on('error', e => { console.error(e.message); process.exit(1); });
"""
_JAVA = """
import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
class Probe {
  public static void main(String[] a) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12"); store.load(null);
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    store.setCertificateEntry("ours", factory.generateCertificate(new FileInputStream(a[2])));
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX"); trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS"); context.init(null, trust.getTrustManagers(), null);
    Socket plain = new Socket("127.0.0.1", Integer.parseInt(a[1]));
    SSLSocket s = (SSLSocket) context.getSocketFactory().createSocket(plain, a[0], Integer.parseInt(a[1]), true);
    SSLParameters p = s.getSSLParameters(); p.setEndpointIdentificationAlgorithm("HTTPS"); s.setSSLParameters(p);
    s.getOutputStream().write("GET /seen HTTP/1.1\\r\\n\\r\\n".getBytes()); s.getInputStream().read();
  }
}
"""

_GO = """
package main
import ("crypto/tls"; "crypto/x509"; "fmt"; "os")
func main() {
  pem, _ := os.ReadFile(os.Args[3]); roots := x509.NewCertPool(); roots.AppendCertsFromPEM(pem)
  c, err := tls.Dial("tcp", "127.0.0.1:" + os.Args[2], &tls.Config{ServerName: os.Args[1], RootCAs: roots})
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
  fmt.Fprintf(c, "GET /seen HTTP/1.1\\r\\n\\r\\n"); c.Read(make([]byte, 1))
}
"""

type Command = Callable[[str, int, Path], list[str]]


def _curl(host: str, port: int, trusted: Path) -> list[str]:
    return ["curl", "-q", "-sS", "--noproxy", "*", "--cacert", str(trusted), "--capath", "/dev/null", "--resolve",
            f"{host}:{port}:127.0.0.1", f"https://{host}:{port}/seen"]  # fmt: skip


def _java(host: str, port: int, trusted: Path) -> list[str]:
    source = trusted.parent / "Probe.java"
    source.write_text(_JAVA, encoding="utf-8")
    return ["java", str(source), host, str(port), str(trusted)]


def _go(host: str, port: int, trusted: Path) -> list[str]:
    source = trusted.parent / "probe.go"
    source.write_text(_GO, encoding="utf-8")
    return ["go", "run", str(source), host, str(port), str(trusted)]


def _gnutls(host: str, port: int, trusted: Path) -> list[str]:
    return ["gnutls-cli", f"--x509cafile={trusted}", f"--verify-hostname={host}", f"--sni-hostname={host}",
            "--crlf", "--port", str(port), "127.0.0.1"]  # fmt: skip


COMMANDS: dict[str, Command] = {
    "python": lambda host, port, trusted: [sys.executable, "-c", _PYTHON, host, str(port), str(trusted)],
    "curl": _curl,
    "node": lambda host, port, trusted: ["node", "-e", _NODE, host, str(port), str(trusted)],
    "java": _java,
    "go": _go,
    "gnutls": _gnutls,
}


@CASES
@pytest.mark.parametrize("client", COMMANDS)
def test_the_limit_is_honoured(client: str, limited: bool, host: str, taken: bool, tmp_path: Path) -> None:
    authority: Authority = limited_to(INSIDE) if limited else unlimited()
    trusted = tmp_path / "ours.pem"
    trusted.write_bytes(pem_of([authority.root]))
    with LoopbackServer(authority, host) as server:
        command = COMMANDS[client](host, server.port, trusted)
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=90, check=False,
            input="GET /seen HTTP/1.1\n\n" if client == "gnutls" else "",
        )  # fmt: skip
        assert ("/seen" in server.paths) is taken, done.stderr
