"""The frozen encoder: `mini` (embedded), XLM-R from a folder, the cache or the Hub, at a precision.

Nothing here imports torch until a backbone is loaded.
"""

from adapterxfer.backbone.cache import cache_folder
from adapterxfer.backbone.load import Backbone, load_backbone
from adapterxfer.backbone.mini import mini_available, mini_folder
from adapterxfer.backbone.precision import PRECISIONS, Policy, best_precision, policy_of

__all__ = [
    "PRECISIONS",
    "Backbone",
    "Policy",
    "best_precision",
    "cache_folder",
    "load_backbone",
    "mini_available",
    "mini_folder",
    "policy_of",
]
