"""Small image files, and data sets in the layouts of the real ones."""
