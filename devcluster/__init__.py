"""A real single-node Kubernetes on this machine: `python3 -m devcluster up|down|clean|status|env`.

Standard library only: it must run before anything is installed.
"""
