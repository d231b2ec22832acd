"""What a worker does with one stage: checkout, inputs, GPUs, execution, outputs."""
