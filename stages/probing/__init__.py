"""How a linear probe is fitted to representations."""
