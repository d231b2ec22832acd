"""The DVC remote: which stages were made there, their files, their run-cache."""
