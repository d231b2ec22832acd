"""The largest memory that this process and its ended children have used."""

import resource

import torch

KIB = 1024
GB = 1e9


def peak_memory_gb(device: torch.device) -> float:
    """Return the peak memory in GB (1e9 bytes).

    On CUDA it is the peak that PyTorch allocated on one device. Elsewhere it is the largest resident memory of this
    process or of one of its children that have ended.
    """
    if device.type == "cuda":
        devices = range(torch.cuda.device_count())
        return max(torch.cuda.max_memory_allocated(index) for index in devices) / GB
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage.ru_maxrss for usage in usages) * KIB / GB
