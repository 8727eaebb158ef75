"""A dual encoder's update: every query meets every candidate, however the batch is cut."""

import numpy as np
import pytest
import torch

from adapterxfer.features.batching import collate
from adapterxfer.features.contrast import contrasted
from adapterxfer.features.ragged import Ragged
from adapterxfer.features.rows import Rows
from adapterxfer.features.search import Search
from adapterxfer.modules.attach import attach
from adapterxfer.modules.heads import Head
from adapterxfer.modules.specs import Bottleneck, Lora
from adapterxfer.training.checkpoint import State
from adapterxfer.training.update import Learner, update


def searched(queries: int) -> Rows:
    """Return queries 0, 1, ... of which the last two look for the same one of `queries` - 1 candidates."""
    tokens = [[0, 100 + n, 50 + n % 3, 2] for n in range(queries)] + [[0, 300 + n, 2] for n in range(queries - 1)]
    gold = [(str(n),) for n in range(queries - 1)] + [(str(queries - 2),)]
    search = Search(
        np.arange(queries),
        tuple(f"q{n}" for n in range(queries)),
        np.arange(queries, 2 * queries - 1),
        tuple(str(n) for n in range(queries - 1)),
        tuple(gold),
    )
    count = 2 * queries - 1
    return Rows(Ragged.of(np.array(row) for row in tokens), np.arange(count), {}, np.arange(count), search=search)


def test_queries_stand_beside_their_candidates():
    rows = contrasted(searched(3))
    assert [row.tolist() for row in rows.input_ids] == [
        [0, 100, 50, 2], [0, 300, 2], [0, 101, 51, 2], [0, 301, 2], [0, 102, 52, 2], [0, 301, 2],
    ]  # fmt: skip
    assert rows.targets["candidate"].tolist() == [0, 0, 1, 1, 1, 1]
    assert rows.group.tolist() == [0, 0, 1, 1, 2, 2]


def test_the_loss_is_a_softmax_over_the_candidates_without_the_other_copy_of_the_right_one():
    head = Head("answer_retrieval", 2)
    head.scale.data.fill_(1.0)
    vectors = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1], [1, 0], [0, 1]])  # queries and candidates in turn
    batch = {"candidate": torch.tensor([0, 0, 1, 1, 1, 1])}
    e = torch.e
    # query 0 scores 1, 0, 0; query 1 scores 0, 1 and not its copy; query 2 scores 1, not the copy, 0
    by_hand = -np.log(e / (e + 2)) - np.log(e / (e + 1)) - np.log(1 / (e + 1))
    assert head.loss(vectors, batch).item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("spec", [Bottleneck(reduction=4), Lora(r=4, dropout=0.2)])
@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_one_update_in_micro_batches_moves_every_parameter_as_one_in_a_piece(tiny, spec, pooling):
    def moved(cuts):
        torch.manual_seed(0)
        attached = attach(tiny, spec, "toy", 0)
        head = Head("answer_retrieval", tiny.hidden_size, pooling=pooling)
        head.scale.data.fill_(5.0)
        parameters = attached.trainable() | {f"head.{name}": value for name, value in head.named_parameters()}
        for value in attached.trainable().values():
            value.data += 0.05 * torch.randn(value.shape)
        optimizer = torch.optim.SGD(parameters.values(), lr=0.1)
        state = State(parameters, optimizer, torch.amp.GradScaler("cpu", enabled=False))  # type: ignore[arg-type]
        attached.set_training(False)
        rows = contrasted(searched(6))
        batches = [collate(rows, list(indices), 1) for indices in cuts]
        [loss] = update([Learner(attached, head, state, clip=1e9)], [batches])
        return loss, {name: value.detach().clone() for name, value in parameters.items()}

    whole, one = moved([range(12)])
    cut, several = moved([range(4), range(4, 6), range(6, 12)])
    assert cut == pytest.approx(whole, abs=1e-5)
    assert one.keys() == several.keys()
    for name in one:
        torch.testing.assert_close(several[name], one[name], atol=1e-5, rtol=1e-4, msg=name)


def test_both_passes_of_a_cut_batch_draw_the_same_dropout(tiny):
    attached = attach(tiny, Lora(r=4, dropout=0.5), "toy", 0)
    for value in attached.trainable().values():
        value.data += 0.3 * torch.randn(value.shape)
    head = Head("answer_retrieval", tiny.hidden_size)
    seen = []
    hook = head.register_forward_hook(lambda module, given, output: seen.append(output.detach().clone()))
    parameters = attached.trainable()
    state = State(parameters, torch.optim.SGD(parameters.values(), lr=0.0), torch.amp.GradScaler("cpu", enabled=False))  # type: ignore[arg-type]
    attached.set_training(True)
    rows = contrasted(searched(4))
    batches = [collate(rows, [0, 1, 2, 3], 1), collate(rows, [4, 5, 6, 7], 1)]
    update([Learner(attached, head, state, clip=1e9)], [batches])
    hook.remove()
    first, second, again_first, again_second = seen
    torch.testing.assert_close(first, again_first)
    torch.testing.assert_close(second, again_second)
    assert not torch.allclose(first[:1], second[:1])
