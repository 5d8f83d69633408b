"""Results: what runs leave behind, and what people read out of it: reports, comparisons, sweeps."""
