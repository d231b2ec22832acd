"""The command ``lzn``: trained models without reading the code."""
