"""The Latent Zoning Network as a library: the method, without the tools that run it."""
