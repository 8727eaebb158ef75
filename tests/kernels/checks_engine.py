"""The encoder driver gives the same hidden states and gradients through the kernels as without them."""

import pytest
import torch

from adapterxfer.backbone import load_backbone
from adapterxfer.engine.encoder import encode, path_of
from adapterxfer.kernels import fusion, launch
from adapterxfer.kernels.low_rank import LowRank
from adapterxfer.modules.attach import attach
from adapterxfer.modules.parse import parse_expression

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PLACES = ".adapters.", ".adapter_fusion_layer.", ".lora_"
# a composition, and how often a layer of it calls the low-rank kernel and the mixture; the tiny encoder has 3 layers
COMPOSITIONS = {
    "bottleneck(reduction=4, activation=gelu)": (1, 0),
    "bottleneck(reduction=4, kind=houlsby, activation=tanh)": (2, 0),
    "bottleneck(reduction=4, kind=parallel, activation=swish)": (1, 0),
    "Stack({a}, bottleneck(reduction=3))": (2, 0),
    "Stack(Fuse({a}, {b}), bottleneck(reduction=4))": (3, 1),
    "lora(r=3, targets=(query, value, intermediate, output))": (4, 0),
    "Stack({l}, lora(r=2))": (4, 0),
    "Stack({l}, bottleneck(reduction=4))": (3, 0),
}


def stir(attached, seed=5):
    """Give every module, frozen or not, distinct non-zero weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in attached.model.named_parameters():
        if any(place in name for place in PLACES):
            drawn = torch.randn(parameter.shape, generator=generator) * 0.1
            parameter.data.copy_(drawn)
    return attached


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    specs = {"a": "bottleneck(reduction=4)", "b": "bottleneck(reduction=2, activation=gelu)", "l": "lora(r=2)"}
    for name, spec in specs.items():
        stir(attach(tiny, parse_expression(spec), name, 0)).save(root / name)
    return {name: str(root / name / "module") for name in specs}


@pytest.fixture(scope="module")
def backbones(tiny_folder):
    return {precision: load_backbone(str(tiny_folder), precision) for precision in ("fp32", "bf16")}


@pytest.fixture
def calls(monkeypatch):
    counted = {"low rank": 0, "mixture": 0}

    def count(kind, name):
        apply = kind.apply

        def counting(*arguments):
            counted[name] += 1
            return apply(*arguments)

        monkeypatch.setattr(kind, "apply", counting)

    count(LowRank, "low rank")
    count(fusion._Mixture, "mixture")
    return counted


def states_and_gradients(attached, ids, mask):
    attached.set_training(True)
    hidden = encode(attached, ids, mask, packed=True)[mask.bool()]
    weights = torch.linspace(-1, 1, hidden.numel(), device=hidden.device).view_as(hidden)
    parameters = attached.trainable()
    found = torch.autograd.grad((hidden.float() * weights).sum(), list(parameters.values()), allow_unused=True)
    return hidden.detach().double(), dict(zip(parameters, found, strict=True))


@pytest.mark.parametrize(
    ("composition", "precision", "tolerance"),
    # both sides round in bf16, in other places, and Triton's interpreter cuts rather than rounds
    [*((text, "fp32", 1e-5) for text in COMPOSITIONS), *((text, "bf16", 0.15) for text in list(COMPOSITIONS)[4:8:3])],
)
def test_hidden_states_and_gradients(composition, precision, tolerance, backbones, folders, calls, monkeypatch):
    expression = parse_expression(composition.format(**folders))
    attached = stir(attach(backbones[precision], expression, "fresh", 0))
    assert path_of(attached) == "own"
    ids = torch.randint(5, 1000, (3, 9), generator=torch.Generator().manual_seed(1)).to(DEVICE)
    mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [1] + [0] * 8], device=DEVICE)
    found, gradients = states_and_gradients(attached, ids, mask)
    ran = dict(calls)
    assert tuple(ran.values()) == tuple(3 * each for each in COMPOSITIONS[composition]), "not all took the kernels"
    monkeypatch.setenv(launch.SWITCH, "0")
    wanted, theirs = states_and_gradients(attached, ids, mask)
    assert calls == ran, "the switch left the kernels on"
    assert (found - wanted).norm() <= tolerance * wanted.norm()
    # a fusion's gradient may be all rounding, such as that of a bias the softmax does not see
    largest = max(float(one.norm()) for one in theirs.values() if one is not None)
    for name, gradient in gradients.items():
        assert (gradient is None) == (theirs[name] is None), name
        if gradient is not None:
            assert gradient.dtype == torch.float32
            off = (gradient - theirs[name]).norm()
            assert off <= tolerance * theirs[name].norm() + 1e-2 * tolerance * largest, name
