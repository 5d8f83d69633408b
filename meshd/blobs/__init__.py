"""Moving data: content-addressed blobs, fetched in pieces by whoever needs them."""
