"""Fold the LoRAs of a model into its weights, for serving: a plain `XLMRobertaModel` that gives the same outputs."""

from torch import Tensor

from adapterxfer.engine.encoder import LINEARS, program_of
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import Attached

_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


def folded_state(attached: Attached) -> dict[str, Tensor]:
    """Return the weights of a plain `XLMRobertaModel` (without a pooler) that computes what `attached` does.

    LoRA, DoRA, Stacks and Averages of them, and a Fuse with `gate=weights` fold in; what reads the tokens does not.

    Raises:
        UserError: naming what cannot be folded, with what to do instead.
    """
    program, wanted = program_of(attached), attached.requested or "the backbone"
    if attached.backbone.quantised:
        raise UserError(
            f"{wanted}: nothing folds into {attached.backbone.precision} weights; load the backbone in fp32."
        )
    if program.reason or program.branches:
        what = program.reason or "several branches"
        raise UserError(f"{wanted} cannot be folded into the weights ({what}); serve the run as it is.")
    state = dict(attached.backbone.state)
    for number, layer in enumerate(program.folded().layers):
        if layer.after_attention.steps or layer.after_feed_forward.steps:
            raise UserError(
                f"{wanted}: a bottleneck is no change of weights and does not fold; serve the run as it is."
            )
        for name in LINEARS:
            linear = getattr(layer, name)
            if linear.updates:
                raise UserError(
                    f"{wanted}: a Fuse with gate=attention differs by token and does not fold; "
                    "train it with gate=weights, or serve the run as it is."
                )
            state[f"encoder.layer.{number}.{_NAMES[name]}.weight"] = linear.base.weight.detach()
    return state
