"""What `up` prints at its end: what the user can do now."""

from __future__ import annotations

from devcluster.demo import NAME
from devcluster.paths import CA_CERTIFICATE, Layout


def build(layout: Layout, port: int) -> str:
    """Address, curl, kubectl, metrics, the end."""
    address = f"https://localhost:{port}/chat_stream"
    jar = "-b /tmp/chatstream.jar -c /tmp/chatstream.jar"
    return f"""\
The demo is at {address}
(its certificate is signed by {CA_CERTIFICATE})

Talk to it; the cookie jar keeps the conversation:
  curl -N --cacert {CA_CERTIFICATE} {jar} \\
    -H 'content-type: application/json' -d '{{"user_input": "Hello"}}' {address}

Use the cluster, with the kubectl and helm built for it:
  export KUBECONFIG={layout.kubeconfig} PATH={layout.bin}:$PATH
  kubectl get chatstreams --all-namespaces --output wide

Watch the server's metrics:
  kubectl port-forward deployment/{NAME} 9090 &
  watch -n 1 'curl -s http://127.0.0.1:9090/metrics | grep ^chatstream'

Stop everything: make down. Delete the caches too: make clean.
"""
