"""Run ``lzn`` as ``python -m lzn.cli``."""

from lzn.cli.main import run

if __name__ == "__main__":
    run()
