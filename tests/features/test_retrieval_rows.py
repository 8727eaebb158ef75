import numpy as np

from adapterxfer.features.kinds import FeatureSettings, kind_of
from adapterxfer.features.nearest import nearest_neighbours
from adapterxfer.tasks.examples import RetrievalExample


def test_each_example_is_two_rows_and_decoding_names_the_nearest_of_the_other_side(tokenizer, make_task):
    task = make_task("retrieval")
    examples = [RetrievalExample(str(n), f"Satz {n}", f"sentence {n} " * (1 + 9 * n)) for n in range(3)]
    kind = kind_of(task)
    rows = kind.encode(task, examples, tokenizer, FeatureSettings(16))
    assert rows.example.tolist() == [0, 0, 1, 1, 2, 2]
    assert rows.input_ids[0].tolist() == tokenizer("Satz 0")["input_ids"]
    assert rows.lengths().max() == 16
    assert rows.notes == {"truncated": 2}
    sources = np.eye(3, dtype=np.float32)
    targets = 7 * np.eye(3, dtype=np.float32)[[1, 0, 2]]  # the first two change places
    outputs = [vector for pair in zip(sources, targets, strict=True) for vector in pair]
    made = kind.decode(task, examples, rows, outputs)
    assert [row["prediction"] for row in made] == [1, 0, 2]
    assert [row["reverse"] for row in made] == [1, 0, 2]
    assert made[2] == {"id": "2", "prediction": 2, "cosine": 1.0, "reverse": 2}


def test_neighbours_do_not_depend_on_the_block_and_ties_go_to_the_lowest_index():
    generator = np.random.default_rng(0)
    index = generator.normal(size=(300, 48)).astype(np.float32)
    index[200:] = 3 * index[:100]  # equal directions
    queries = index[generator.permutation(300)]
    whole, _ = nearest_neighbours(queries, index, block=300)
    for block in (1, 7, 128):
        places, _ = nearest_neighbours(queries, index, block)
        assert places.tolist() == whole.tolist()
    assert whole.max() < 200


def test_neighbours_are_by_cosine_not_by_length():
    places, cosines = nearest_neighbours(np.array([[1.0, 0.1]]), np.array([[0.0, 100.0], [0.01, 0.0]]))
    assert places.tolist() == [1]
    assert 0.99 < cosines[0] <= 1


def test_a_vector_of_zeros_is_nobodys_undoing():
    places, cosines = nearest_neighbours(np.zeros((1, 3)), np.eye(3))
    assert places.tolist() == [0]
    assert np.isfinite(cosines).all()
