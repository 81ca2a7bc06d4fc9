"""nginx: what passing bytes costs at the least. Connections to the provider are kept, nothing is buffered."""

import shutil

from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import NotInstalled, Place

NAME = "nginx"


def start(place: Place) -> Running:
    program = shutil.which("nginx")
    if program is None:
        raise NotInstalled("apt-get install nginx")
    folder, port = place.folder, free_port()
    # It looks for a host name in the certificate, never for an address.
    verified = f"proxy_ssl_trusted_certificate {place.authority}; proxy_ssl_verify on; proxy_ssl_name localhost;"
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
        events {{ worker_connections 16384; }}
        http {{
          access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
          upstream provider {{ server 127.0.0.1:{place.upstream_port}; keepalive 512; keepalive_requests 1000000; }}
          server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 64m; client_body_buffer_size 128k;
            location / {{ proxy_pass {place.upstream.partition(":")[0]}://provider; proxy_http_version 1.1;
                          proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
                          {verified if place.authority else ""} }} }}
        }}
        """,
        encoding="utf-8",
    )
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    return Running(NAME, port, start_process(command, place.core, log=folder / "log"))
