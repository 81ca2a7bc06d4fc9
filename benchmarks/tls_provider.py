"""The provider behind TLS: nginx ends it, with a certificate of an authority of our own."""

import datetime
import ipaddress
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.processes import Running, free_port, start


def tls_provider(folder: Path, upstream: int, core: str) -> Running | None:
    """nginx with TLS before the provider; None where there is no nginx. The authority is `folder`/ca.pem."""
    program = shutil.which("nginx")
    if program is None:
        return None
    _certificate(folder)
    port = free_port()
    (folder / "tls.conf").write_text(
        f"""
        daemon off; master_process off; worker_processes 1; pid {folder}/tls.pid; error_log {folder}/tls.err;
        events {{ worker_connections 8192; }}
        http {{
          access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
          upstream provider {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}
          server {{ listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {folder}/server.pem;
            ssl_certificate_key {folder}/server.key; ssl_protocols TLSv1.2 TLSv1.3; client_max_body_size 64m;
            location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
                          proxy_buffering off; proxy_request_buffering off; }} }}
        }}
        """,
        encoding="utf-8",
    )
    process = start([program, "-c", str(folder / "tls.conf"), "-p", str(folder)], core, log=folder / "tls.log")
    return Running("provider with TLS", port, process)


def _certificate(folder: Path) -> None:
    """server.pem and server.key (P-256) for 127.0.0.1, signed by ca.pem."""
    now = datetime.datetime.now(datetime.UTC)
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    above, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("benchmark authority", "127.0.0.1")
    )

    def made(subject: x509.Name, of: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(above).public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False)
        )  # fmt: skip

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root = made(above, authority).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(usage, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    server = made(name, key).add_extension(names, critical=False)
    server = server.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "server.pem").write_bytes(server.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
