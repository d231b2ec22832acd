"""Rectified flow (section 4.1): `path` has the straight path from noise to images and its loss, `ode` the samplers."""
