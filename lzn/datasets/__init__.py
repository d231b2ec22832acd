"""The data sets that the pipeline knows, each brought into the uniform form of `lzn.data`."""

from lzn.datasets.digits import load_digits

__all__ = ["load_digits"]
