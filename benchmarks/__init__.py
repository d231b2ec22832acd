"""Performance as ratios measured in one run; commands, never tests. Results lie beside them as JSON."""
