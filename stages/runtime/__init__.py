"""How a stage starts and ends: arguments, seeds in parallel, signals, provenance, output paths."""
