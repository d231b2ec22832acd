"""What the image (infra/Dockerfile) is made of.

- `lock`: `make lock` writes ``requirements.txt`` and ``requirements-cuda.txt``, all Python packages with their hashes
- `pins`: versions and digests of the images of others
"""
