"""``python -m lzn.cli`` is ``lzn``."""

from lzn.cli.main import run

if __name__ == "__main__":
    run()
