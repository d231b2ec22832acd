"""Linear probing of representations: `methods` has the probes that params.yaml can choose; `probe` calls it."""
