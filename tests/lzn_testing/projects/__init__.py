"""Project folders with stages, runs or outputs, made in seconds."""
