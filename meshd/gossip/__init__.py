"""What others know: signed records, spread by push on change and levelled by digests."""
