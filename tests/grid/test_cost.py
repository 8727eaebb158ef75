"""The projection of a study's cost, against arithmetic by hand."""

from dataclasses import replace

import pytest

from adapterxfer.grid.cost import XLM_R_LARGE, Card, Data, Encoder, Rate, Rates, Shots, Study, cost
from adapterxfer.grid.published import INTERMEDIATES, TARGETS, published_study

SMALL = Encoder(layers=4, hidden=10, wide=20)
LARGE_CARD = Card("large", matrix_rate=1000.0, bandwidth=400.0, memory=10_000.0)
SMALL_CARD = Card("small", matrix_rate=250.0, bandwidth=200.0, memory=1_000.0)
RATES = Rates(
    LARGE_CARD,
    prefix=Rate(100.0, 2.0),
    training={"stack": Rate(50.0, 10.0), "fuse": Rate(25.0, 20.0)},
    evaluation={"stack": Rate(200.0, 2.5), "fuse": Rate(100.0, 5.0)},
    fixed_bytes=200.0,
    token_bytes=4.0,
    token_budget=500,
)
STUDY = Study(
    intermediates=[Data("nli", rows=100, length=10, epochs=2)],
    targets=[Data("qa", rows=30, length=20, epochs=3, scored_rows=40, scored_length=5)],
    strategies=["stack", "fuse"],
    module="stack",
    top=1,
    seeds=2,
    shots=Shots(sizes=1, buckets=3, steps=2, rows=5),
    encoder=SMALL,
)


def test_the_operations_of_a_layer_are_two_a_weight_and_four_a_number_of_keys_and_values():
    # 4 x 10 x 10 + 2 x 10 x 20 = 800 weights; 7 keys of 10 numbers, once for scores and once for the mixture
    assert SMALL.layer_flops(7) == 2 * 800 + 2 * 2 * 7 * 10 == 1880
    assert SMALL.prefix_flops(7, top=1) == 3 * 1880
    # XLM-R Large: 12.6 million weights a layer, 302 million in all
    assert XLM_R_LARGE.layer_flops(0) * 24 / 2 == 301_989_888


def test_only_what_a_training_step_needs_is_counted():
    module = 30
    # one layer: forward 1600 + 280 + 2 x 30, nothing of the layer backward, the module's backward 4 x 30
    assert SMALL.training_flops(7, 1, module) == 1880 + 60 + 120
    # each further layer: forward, its maps' input gradients (1600) and attention's (2 x 280), and the module thrice
    assert SMALL.training_flops(7, 3, module) - SMALL.training_flops(7, 2, module) == 1880 + 1600 + 560 + 180
    assert SMALL.evaluation_flops(7, 2, module) == 2 * (1880 + 60)


def test_hours_of_each_part_by_hand():
    found = cost(STUDY, RATES, shared_prefix=True)
    # intermediates: 2 epochs x 1,000 tokens x 2 seeds at 50 tokens/s
    assert found.intermediate_hours * 3600 == pytest.approx(4000 / 50)
    # targets: 3 epochs x 600 tokens x 1 intermediate x 2 seeds, at 50 and at 25 tokens/s
    assert found.target_hours * 3600 == pytest.approx(3600 / 50 + 3600 / 25)
    # shots: 2 steps x 5 rows x 20 tokens, 3 points for each of the 2 runs of a strategy
    assert found.few_shot_hours * 3600 == pytest.approx(1200 / 50 + 1200 / 25)
    # evaluation: 200 tokens, 4 times (k = 0 and three buckets) for each of the 2 runs
    assert found.evaluation_hours * 3600 == pytest.approx(1600 / 200 + 1600 / 100)
    # prefix: 1,000 + 600 + 200 tokens once, and the shots of 4 runs anew
    assert found.prefix_hours * 3600 == pytest.approx((1800 + 4 * 600) / 100)
    parts = [found.intermediate_hours, found.target_hours, found.few_shot_hours, found.evaluation_hours]
    assert found.hours == pytest.approx(sum(parts) + found.prefix_hours)
    assert found.disk == 1800 * 10 * 2
    assert found.memory == 200 + 500 * 4


def test_without_a_shared_prefix_each_epoch_of_each_run_pays_for_it():
    found = cost(STUDY, RATES, shared_prefix=False)
    # intermediates 4,000; 4 target runs of 1,800 and 4 evaluations of 200 each; shots as before
    assert found.prefix_hours * 3600 == pytest.approx((4000 + 4 * (1800 + 800) + 2400) / 100)
    assert found.disk == 0
    assert found.target_hours == cost(STUDY, RATES).target_hours


def test_rows_that_two_tasks_train_on_are_kept_once():
    again = replace(STUDY.targets[0], same_as="nli")
    assert cost(replace(STUDY, targets=[again]), RATES).disk == 1200 * 10 * 2  # 1,000 of nli, 200 scored
    assert cost(replace(STUDY, targets=[again]), RATES).target_hours == cost(STUDY, RATES).target_hours


def test_modules_in_all_layers_leave_no_prefix():
    found = cost(replace(STUDY, top=4), RATES)
    assert (found.prefix_hours, found.disk) == (0, 0)


def test_the_grid_counts_its_cells_and_points():
    assert (STUDY.cells, STUDY.points) == (4, 16)
    study = published_study()
    assert (study.cells, study.points) == (1200, 1200 * 16)
    assert (len(INTERMEDIATES), len(TARGETS)) == (10, 10)
    assert replace(study, shots=None).points == 1200


def test_a_rate_moves_to_another_card_by_what_bounds_it():
    # 50 tokens/s x 10 operations = half of the matrix rate: that half takes 4 times as long, the other half 2 times
    assert Rate(50.0, 10.0).share(LARGE_CARD) == 0.5
    assert Rate(50.0, 10.0).on(LARGE_CARD, SMALL_CARD).tokens == pytest.approx(50 / 3)
    # a pass that does nothing but multiply scales with the matrix rate alone, one that only moves data with bandwidth
    assert Rate(100.0, 10.0).on(LARGE_CARD, SMALL_CARD).tokens == pytest.approx(25)
    assert Rate(100.0, 0.0).on(LARGE_CARD, SMALL_CARD).tokens == pytest.approx(50)
    assert Rate(50.0, 10.0).on(LARGE_CARD, LARGE_CARD).tokens == pytest.approx(50)


def test_a_smaller_card_takes_fewer_tokens_at_a_time():
    moved = RATES.on(SMALL_CARD)
    assert moved.token_budget == 200  # (1,000 - 200) / 4
    assert cost(STUDY, moved).memory == 1000
    assert cost(STUDY, moved).card == "small"
    assert cost(STUDY, moved).hours > cost(STUDY, RATES).hours
    with pytest.raises(ValueError, match="the weights alone take 200 of 150 bytes"):
        RATES.on(replace(SMALL_CARD, memory=150.0))


def test_what_cannot_be_projected_is_said():
    with pytest.raises(ValueError, match="no measured rate for 'merge'"):
        cost(replace(STUDY, strategies=["merge"]), RATES)
    with pytest.raises(ValueError, match="bandwidth must be more than 0"):
        Card("none", 1.0, 0.0, 1.0)
