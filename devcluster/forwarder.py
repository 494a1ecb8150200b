"""The demo at https://localhost:PORT: nginx before its Service, with a certificate of an authority made here.

Browsers take Secure cookies only over TLS, and a NodePort does not answer on 127.0.0.1.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from devcluster import pki, probes, processes
from devcluster.files import write_if_changed
from devcluster.network import DNS_ADDRESS
from devcluster.paths import CA_CERTIFICATE, Layout
from devcluster.plane import DOMAIN
from devcluster.processes import Daemon, Outcome

NAME = "forwarder"
# Browsers refuse certificates that last longer; one that ends within a month is made anew.
DAYS, RENEW_DAYS = 397, 30


def build_config(folder: Path, leaf: pki.Pair, *, port: int, service: str, ipv6: bool) -> str:
    """nginx's configuration, with every path of its own."""
    listens = [f"127.0.0.1:{port}", *([f"[::1]:{port}"] if ipv6 else [])]
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
# One process: a worker would outlive a master that was killed, and keep the port.
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{temporary}
  client_max_body_size 8m;
  # Asked for at every request: the Service may come, go, and get another address.
  resolver {DNS_ADDRESS} valid=2s ipv6=off;
  server {{
{"".join(f"    listen {listen} ssl;{chr(10)}" for listen in listens)}\
    server_name localhost;
    ssl_certificate {leaf.certificate};
    ssl_certificate_key {leaf.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      set $upstream http://{service}.svc.{DOMAIN};
      proxy_pass $upstream;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-For $remote_addr;
      # Each token goes out as it comes; a silent engine is the server's to time out.
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 3600s;
      proxy_send_timeout 3600s;
    }}
  }}
}}
"""


def ensure_certificate(layout: Layout) -> pki.Pair:
    """The authority (kept: users may have told their browser of it) and a leaf for localhost."""
    authority = pki.Pair(CA_CERTIFICATE, layout.pki / "forwarder-ca.key")
    if not (authority.exists() and pki.lasts(authority.certificate, RENEW_DAYS)):
        pki.make_authority(authority, "ChatStream local cluster")
    leaf = pki.pair(layout.pki, "localhost")
    fresh = leaf.exists() and pki.lasts(leaf.certificate, RENEW_DAYS)
    if not (fresh and pki.signed_by(leaf.certificate, authority.certificate)):
        names = ["localhost", "127.0.0.1", "::1"]
        pki.make_leaf(leaf, authority, common_name="localhost", usages=[pki.SERVER], names=names, days=DAYS)
    return leaf


def has_ipv6() -> bool:
    """Whether the loopback device has its IPv6 address."""
    table = Path("/proc/net/if_inet6")
    return table.exists() and f"{1:032x}" in table.read_text()


def ensure(layout: Layout, *, port: int, service: str) -> Outcome:
    """The forwarder running on that port, for that `name.namespace`."""
    leaf = ensure_certificate(layout)
    folder = layout.run / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    config = layout.config / "nginx.conf"
    write_if_changed(config, build_config(folder, leaf, port=port, service=service, ipv6=has_ipv6()))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    daemon = Daemon(
        NAME,
        (nginx, "-p", str(folder), "-c", str(config), "-e", "stderr"),
        healthy=lambda: probes.tcp_open("127.0.0.1", port),
        inputs=(config, leaf.certificate),
    )
    return processes.ensure(layout, daemon)
