"""What results are compared with: literal versions of the paper's formulas, closed forms, and seeded problems.

- The flow: `literal_flow` (formulas), `flow_on_a_line` (closed form), `flow_problems` (inputs and errors).
- ODEs: `ode_problems`. Metrics: `literal_metrics`. The released ResNet-50: `released_resnet`.
"""
