"""Run one stage on a machine of the cluster.

In the order of reading:

- `settings`, `s3_block`: the environment variables of a machine; S3 keys from a block of Prefect
- `private_folder`, `commits`: the folder of this machine's work; which commits may be run
- `checkouts`: a folder with the commit, in which DVC uses the machine's cache
- `gpus`, `gpu_limit`: GPUs of this machine, and the number of GPUs of the cluster
- `remote_stage`: fetch the inputs, run the stage, push the outputs; calls all of the above
"""
