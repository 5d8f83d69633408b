"""How a shard runs: what a worker process does, and the limits it does it under.

Read `worker.py` first. Nothing here imports trio or libp2p: workers start fast and hold no key.
A worker process is not a sandbox: it keeps accidents apart, not an attacker with native code.
"""
