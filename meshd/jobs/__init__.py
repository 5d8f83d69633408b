"""Jobs as people write them: read, checked, cut into shards, and handed to a daemon."""
