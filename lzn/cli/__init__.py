"""The command ``lzn``: use trained models without writing code.

`main` is the entry point, `app` has the commands, `options` their options. `catalogue` finds trained runs on disk and
needs no torch; `work` does what a command asks for; `files` writes outputs; `show` formats results. Other installed
packages add commands through the entry-point group ``lzn.commands``.
"""

import os

# OpenMP reads this once, when torch is imported: waiting threads sleep, so that two processes can share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
