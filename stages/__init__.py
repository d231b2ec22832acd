"""One thin module per DVC stage: typed parameters and files in, files and numbers out."""

import os

# Threads that wait for each other must sleep, not spin. Where two stages share a machine's cores, spinning made a
# training step over ten times slower. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
