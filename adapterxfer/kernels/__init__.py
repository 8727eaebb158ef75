"""GPU kernels for what the modules add to the encoder, each beside its plain PyTorch reference.

Every function here takes the Triton path where it can (see launch.py) and computes its reference elsewhere.
"""

from adapterxfer.kernels.bottleneck import bottleneck
from adapterxfer.kernels.fusion import mixture
from adapterxfer.kernels.grouped import Groups, grouped
from adapterxfer.kernels.lora import add_lora

__all__ = ["Groups", "add_lora", "bottleneck", "grouped", "mixture"]
