"""Merging: one module made of several by a rule on their weights. No backbone is needed.

A LoRA adds scale x B A to a map. `arithmetic` and `adamergex` are exact on these updates: the merged rank is the sum
of the ranks, and the update is the weighted sum, for any sign. `svd` is the best update of rank r to that sum.
`linear`, `ties`, `dare_linear`, `dare_ties` and `magnitude_prune` work on A and B apart, each weighted by the square
root of weight x scale; they equal peft's `add_weighted_adapter`. B A of merged factors is not the sum of the updates.

A bottleneck is no linear function of its weights, so every rule on them is a heuristic: it is sound where the modules
lie near one another (one module that was trained on in several ways).

Sources: TIES, Yadav et al. 2023 (arXiv 2306.01708); DARE, Yu et al. 2024 (arXiv 2311.03099); task arithmetic, Ilharco
et al. 2023 (arXiv 2212.04089), on adapters Zhang et al. 2023 (arXiv 2306.14870); AdaMergeX, Zhao et al. 2024 (arXiv
2402.18913).
"""

import contextlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from adapterxfer.errors import UserError
from adapterxfer.files import sha256_json
from adapterxfer.modules.expression import Merge, Trained
from adapterxfer.modules.nesting import Member, check_merge
from adapterxfer.modules.resolve import ModuleSource, lineage, resolve
from adapterxfer.modules.specs import LINEAR_MAPS
from adapterxfer.modules.storage import PEFT_PREFIX, renamed

DENSITY = 0.2  # what TIES keeps (Yadav et al. 2023, section 4)
_FACTOR = re.compile(r"(?:.*\.)?(encoder\.layer\.(\d+)\.(.+))\.lora_([AB])\.weight")
_WITHOUT_EFFECT = {"init_weights", "init_weights_seed", "dropout"}  # of a trained bottleneck's configuration


def source_of(leaf: Trained | Merge) -> ModuleSource:
    """Return the module that a leaf names: found on disk, or made by its Merge.

    Raises:
        UserError: when a module cannot be found, or the modules cannot be merged.
    """
    if isinstance(leaf, Trained):
        return resolve(leaf.where)
    sources = [source_of(child) for child in leaf.children if isinstance(child, Trained | Merge)]
    labels = [str(child) for child in leaf.children]
    check_merge(leaf, [Member(label, one.form) for label, one in zip(labels, sources, strict=True)])
    trained_on, protected = lineage(sources)
    merge = _merged_loras if sources[0].kind == "lora" else _merged_bottlenecks
    tensors, config = merge(leaf, sources, labels)
    return ModuleSource(
        folder=sources[0].folder,
        kind=sources[0].kind,
        name=f"{leaf.method}-merge",
        config=config,
        trained_on=trained_on,
        protected=protected,
        backbone_digest=_common_backbone(leaf, sources),
        merged=tensors,
        digest_of_merge=sha256_json([str(leaf.with_children([Trained(one.digest()) for one in sources]))]),
    )


def _common_backbone(merge: Merge, sources: Sequence[ModuleSource]) -> str | None:
    digests = {source.backbone_digest for source in sources if source.backbone_digest is not None}
    if len(digests) > 1:
        raise UserError(f"{merge}: its modules were trained on different backbones; modules do not move between them.")
    return digests.pop() if digests else None


def weights_of(merge: Merge) -> tuple[float, ...]:
    """Return each module's weight: as given, else 1; shares of 1 for `linear`; 1, factor, -factor for `adamergex`."""
    count = len(merge.children)
    if merge.method == "adamergex":
        factor = 1.0 if merge.factor is None else merge.factor
        return (1.0, factor, -factor)
    weights = merge.weights or (1.0,) * count
    return tuple(weight / sum(weights) for weight in weights) if merge.method == "linear" else weights


def _rule(merge: Merge) -> Callable[[list[Tensor], Sequence[float]], Tensor]:
    """Return the rule as a function of the modules' tensors (of one shape) and their weights."""
    from peft.utils import merge_utils

    density = DENSITY if merge.density is None else merge.density
    pruned = {"ties", "dare_linear", "dare_ties", "magnitude_prune"}
    function: Any = getattr(merge_utils, merge.method if merge.method in pruned else "task_arithmetic")

    def rule(tensors: list[Tensor], weights: Sequence[float]) -> Tensor:
        arguments = (density,) if merge.method in pruned else ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a density of 1, which keeps everything
            result: Tensor = function([one.float() for one in tensors], torch.tensor(weights), *arguments)
        return result

    return rule


def _merged_bottlenecks(
    merge: Merge, sources: Sequence[ModuleSource], labels: list[str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    for label, source in zip(labels[1:], sources[1:], strict=True):
        for key in sorted({*source.config, *sources[0].config} - _WITHOUT_EFFECT):
            one, other = sources[0].config.get(key), source.config.get(key)
            if one != other:
                raise UserError(
                    f"{merge}: {labels[0]} has {key}={one} and {label} has {key}={other}; "
                    "a Merge is of modules of one build. Average(a, b) mixes outputs instead."
                )
    given = [renamed(one.tensors(), "merged") for one in sources]
    for label, tensors in zip(labels[1:], given[1:], strict=True):
        if {key: value.shape for key, value in tensors.items()} != {key: v.shape for key, v in given[0].items()}:
            raise UserError(f"{merge}: {label} has other tensors than {labels[0]}; they are of different backbones.")
    weights, rule = weights_of(merge), _rule(merge)
    with _drawing(merge):
        merged = {key: rule([tensors[key] for tensors in given], weights) for key in sorted(given[0], key=_place)}
    return merged, sources[0].config


def _merged_loras(
    merge: Merge, sources: Sequence[ModuleSource], labels: list[str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    given = [_factors(source, label) for source, label in zip(sources, labels, strict=True)]
    scales = [_scale(source, label) for source, label in zip(sources, labels, strict=True)]
    weights = weights_of(merge)
    ranks = [max(a.shape[0] for a, _ in one.values()) for one in given]
    exact = merge.method in ("arithmetic", "adamergex")
    if not exact and merge.method != "svd" and len({a.shape[0] for one in given for a, _ in one.values()}) > 1:
        raise UserError(
            f"{merge}: the LoRAs are of different ranks, and {merge.method} merges their factors one by one; "
            "write Merge(arithmetic, ...) or Merge(svd, ...)."
        )
    rank = sum(ranks) if exact else merge.r or max(ranks)
    rule = _rule(merge)
    tensors: dict[str, Tensor] = {}
    with _drawing(merge):
        for where in sorted({key for one in given for key in one}, key=_place):
            held = [
                (*one[where], weight, scale(one[where][0].shape[0]))
                for one, weight, scale in zip(given, weights, scales, strict=True)
                if where in one
            ]
            if exact:
                down = torch.cat([a * (weight * scale) for a, _, weight, scale in held])
                up = torch.cat([b for _, b, _, _ in held], 1)
                missing = rank - down.shape[0]
                down = torch.nn.functional.pad(down, (0, 0, 0, missing))
                up = torch.nn.functional.pad(up, (0, missing))
            elif merge.method == "svd":
                down, up = _best(rule([b @ a * s for a, b, _, s in held], [w for *_, w, _ in held]), rank, merge)
            else:
                roots = [math.sqrt(abs(weight * scale)) for *_, weight, scale in held]
                signs = [1 if weight * scale >= 0 else -1 for *_, weight, scale in held]
                down = rule([a for a, *_ in held], [root * sign for root, sign in zip(roots, signs, strict=True)])
                up = rule([b for _, b, *_ in held], roots)
            tensors[f"{PEFT_PREFIX}{where}.lora_A.weight"] = down.contiguous()
            tensors[f"{PEFT_PREFIX}{where}.lora_B.weight"] = up.contiguous()
    kept = {key: value for key, value in sources[0].config.items() if key not in ("rank_pattern", "use_rslora")}
    places = sorted({key.removeprefix(PEFT_PREFIX).partition(".lora_")[0] for key in tensors})
    return tensors, kept | {"r": rank, "lora_alpha": rank, "target_modules": places}


def _best(delta: Tensor, rank: int, merge: Merge) -> tuple[Tensor, Tensor]:
    """Return A and B of the best update of this rank (Eckart and Young)."""
    if rank > min(delta.shape):
        raise UserError(f"{merge}: a rank of {rank} is more than the {min(delta.shape)} that the backbone has.")
    left, sizes, right = torch.linalg.svd(delta, full_matrices=False)
    return right[:rank], left[:, :rank] * sizes[:rank]


def _factors(source: ModuleSource, label: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return A [rank, inputs] and B [outputs, rank] of each map, by its place in the encoder."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in source.tensors().items():
        match = _FACTOR.fullmatch(key)
        if match is None:
            raise UserError(f"{label} holds the tensor {key}, which is neither A nor B of a LoRA in an encoder layer.")
        found.setdefault(match.group(1), {})[match.group(4)] = value.float()
    for where, pair in found.items():
        if set(pair) != {"A", "B"}:
            raise UserError(f"{source.weights} holds only half of the LoRA at {where}; the file is damaged.")
    return {where: (pair["A"], pair["B"]) for where, pair in found.items()}


def _scale(source: ModuleSource, label: str) -> Callable[[int], float]:
    """Return what a LoRA's B A is multiplied by, as a function of its rank there."""
    if source.config.get("alpha_pattern"):
        raise UserError(f"{label} has an alpha_pattern, and is not merged; stack it instead.")
    alpha, root = float(source.config["lora_alpha"]), bool(source.config.get("use_rslora"))
    return lambda rank: alpha / (math.sqrt(rank) if root else rank)


def _place(name: str) -> tuple[int, int, str]:
    """Order tensors as the model has them: by layer, then by the maps of a layer. The draws of DARE follow it."""
    found = re.search(r"encoder\.layer\.(\d+)\.(.*)", name)
    if found is None:
        return (-1, 0, name)
    order = next((n for n, where in enumerate(LINEAR_MAPS.values()) if re.match(where, found.group(2))), 0)
    return (int(found.group(1)), order, name)


@contextlib.contextmanager
def _drawing(merge: Merge) -> Iterator[None]:
    """Draw from the seed of a Merge inside, and leave the random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(merge.seed or 0)
        yield
