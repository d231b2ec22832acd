"""``python -m stages.cli`` is ``lzn``."""

from stages.cli.main import run

if __name__ == "__main__":
    run()
