"""Rectified flow between noise and images (section 4.1, appendix C).

- `path`: the straight path from noise to an image, its velocity, and the loss that trains the decoder.
- `ode`: Euler and adaptive RK45, which integrate a velocity from noise to images or back. It calls `dormand_prince`
  (the steps of RK45), and both call `counted_velocity` (the velocity with its checks, and `OdeError`).

`lzn.studies.generation` joins both with a decoder. The flow of latents is `lzn.flow`.
"""
