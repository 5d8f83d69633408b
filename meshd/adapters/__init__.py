"""Every system call: libp2p, clock, store, blobs, workers, control."""
