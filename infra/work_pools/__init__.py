"""Base job templates of Prefect work pools whose flow runs are containers; `template` prints one with another image."""
