"""Who works: jobs, placement, leases, results."""
