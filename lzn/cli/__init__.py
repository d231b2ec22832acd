"""The command ``lzn``: use trained models without writing code.

- `main`: entry point and exit codes. It runs `app`, which holds the commands; `options` holds their shared options.
- `catalogue`: finds trained runs on disk by name; `run_list` formats them for ``lzn runs``. Neither needs torch.
- `implementation`: what the other commands do, by `lzn.inference`; it imports torch, so `app` imports it last.
- `output_files`: writes files without overwriting; `terminal`: stdout, stderr and progress bars.

Other packages add commands through the entry-point group ``lzn.commands``: here ``lzn check`` and ``lzn register``.
Where their package is missing, these two say that they need a checkout of the project.
"""

import os

# OpenMP reads this once, when torch is imported: waiting threads sleep, so that two processes can share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
