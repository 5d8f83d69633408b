"""A daemon: one node with its identity, store, links, workers and control socket."""

from meshd.daemon.daemon import Daemon, Shared

__all__ = ["Daemon", "Shared"]
