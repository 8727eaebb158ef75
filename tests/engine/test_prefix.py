"""The frozen prefix: that going on from it is the whole forward, and that no file is believed that should not be."""

import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from adapterxfer.engine import prefix as module
from adapterxfer.engine import prefix_store
from adapterxfer.engine.encoder import encode
from adapterxfer.engine.prefix import kept_prefix, prefix_depth, prefix_key
from adapterxfer.errors import UserError
from adapterxfer.features.batching import collate
from adapterxfer.features.ragged import Ragged
from adapterxfer.features.rows import Rows
from adapterxfer.modules.assemble import Part
from adapterxfer.modules.attach import attach, attach_run, bare
from adapterxfer.modules.parse import parse_expression

LARGE = 10**9
TOP = "bottleneck(reduction=4, top_layers=1)"


def stir(attached, seed=5):
    generator = torch.Generator().manual_seed(seed)
    for parameter in attached.trainable().values():
        parameter.data.normal_(std=0.3, generator=generator)
    return attached


def make_rows(seed=0, count=24, longest=30):
    """Return rows of random tokens, of which the last two are equal to the first two."""
    generator = np.random.default_rng(seed)
    ids = [generator.integers(5, 1000, generator.integers(3, longest)) for _ in range(count)]
    numbers = np.arange(count + 2)
    return Rows(Ragged.of([*ids, *ids[:2]]), numbers, {}, numbers)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """Trained modules: a, b in all layers, top, roof in the last one only; odd is a with a tanh.

    l, m are LoRAs in all layers, low, lid in the last one only.
    """
    root = tmp_path_factory.mktemp("trained")
    specs = {"a": "bottleneck(reduction=4)", "b": "bottleneck(reduction=4)", "top": TOP, "roof": TOP, "l": "lora(r=2)"}
    specs |= {"m": "lora(r=2)", "low": "lora(r=2, top_layers=1)", "lid": "lora(r=2, top_layers=1)"}
    for seed, (name, spec) in enumerate(specs.items()):
        stir(attach(tiny, parse_expression(spec), name, 0), seed).save(root / name)
        (root / name / "module").rename(root / "x")
        shutil.rmtree(root / name)
        (root / "x").rename(root / name)
    shutil.copytree(root / "a", root / "another_name")
    shutil.copytree(root / "a", root / "odd")
    config = json.loads((root / "odd" / "adapter_config.json").read_text())
    config["config"]["non_linearity"] = "tanh"
    (root / "odd" / "adapter_config.json").write_text(json.dumps(config))
    return root


@pytest.fixture(scope="module")
def at(tiny, tiny_folder):
    """The tiny backbone at every precision."""
    from adapterxfer.backbone import load_backbone

    return {"fp32": tiny} | {name: load_backbone(str(tiny_folder), name) for name in ("bf16", "fp16")}


@pytest.fixture
def build(tiny, folders):
    def built(text, seed=3, backbone=tiny):
        text = text.format(**{path.name: path for path in folders.iterdir()})
        return stir(attach(backbone, parse_expression(text), "target", seed), seed)

    return built


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches of these few rows, and nothing mapped that an earlier test has checked."""
    monkeypatch.setattr(module, "_TOKEN_BUDGET", 100)
    prefix_store._OPEN.clear()


@pytest.fixture
def computed(monkeypatch):
    """The shape of every batch that goes through the frozen layers."""
    shapes = []

    def counting(attached, input_ids, *rest, **options):
        shapes.append(tuple(input_ids.shape))
        return encode(attached, input_ids, *rest, **options)

    monkeypatch.setattr(module, "encode", counting)
    return shapes


DEPTHS = {
    TOP: 2,
    "bottleneck(reduction=4, top_layers=2, kind=houlsby)": 1,
    "lora(r=4, top_layers=2)": 1,
    "lora(r=4, top_layers=1, targets=(output,))": 2,
    "bottleneck(reduction=4)": 0,
    "Continue({l})": 0,
    "Continue({top})": 2,
    "Stack({a}, bottleneck(reduction=4, top_layers=1))": 2,
    "Stack({a}, {l}, lora(r=4, top_layers=2))": 1,
    "Fuse({a}, {b})": 0,
    "Fuse({top}, {roof})": 2,
    "Stack(Fuse({top}, {roof}), bottleneck(reduction=4, top_layers=1))": 2,
    "Stack(Fuse({top}, {roof}), bottleneck(reduction=4, top_layers=2))": 1,
    "Stack({a}, {b})": 0,
    "Fuse({l}, {m})": 0,
    "Fuse({low}, {lid}, gate=weights)": 2,
    "Stack({a}, Fuse({low}, {lid}), lora(r=4, top_layers=2))": 1,
    "Stack(Average({a}, {b}), bottleneck(reduction=4, top_layers=1))": 2,
    "compacter(reduction=4, terms=2, top_layers=1)": 0,
    "prefix(length=3, bottleneck=8, top_layers=1)": 0,
    "ia3(top_layers=1)": 2,
}


@pytest.mark.parametrize("text", DEPTHS)
def test_the_prefix_ends_below_the_first_layer_with_anything_that_trains(build, text):
    assert prefix_depth(build(text)) == DEPTHS[text]


def test_a_backbone_alone_and_modules_at_the_embeddings_have_no_prefix(tiny, build, rows, tmp_path):
    from adapters import SeqBnInvConfig

    assert kept_prefix(bare(tiny), rows, folder=tmp_path, limit=LARGE) is None
    attached = build(TOP)
    attached.model.add_adapter("foreign", config=SeqBnInvConfig(reduction_factor=4, leave_out=[0, 1]))
    attached.parts.append(Part("foreign", "bottleneck", False))
    assert prefix_depth(attached) == 0
    assert kept_prefix(attached, rows, folder=tmp_path, limit=LARGE) is None
    assert not list(tmp_path.iterdir())


def test_the_fusion_that_the_library_puts_below_its_modules_does_nothing_there(build, rows):
    attached = build("Fuse({top}, {roof})")
    batch = collate(rows, range(4), 1)
    before = encode(attached, batch["input_ids"], batch["attention_mask"], layer=2)
    for name, parameter in attached.trainable().items():
        if ".layer.2." not in name:
            parameter.data.normal_(std=3)
    assert torch.equal(encode(attached, batch["input_ids"], batch["attention_mask"], layer=2), before)


COMPOSITIONS = [
    TOP,
    "lora(r=4, top_layers=2)",
    "Stack({a}, bottleneck(reduction=4, top_layers=1))",
    "Stack({l}, {a}, lora(r=4, top_layers=1))",
    "Stack(Fuse({top}, {roof}), bottleneck(reduction=4, top_layers=1))",
]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("text", COMPOSITIONS)
def test_going_on_from_the_prefix_gives_the_full_outputs_and_gradients(at, build, rows, tmp_path, text, precision):
    attached = build(text, backbone=at[precision])
    prefix = kept_prefix(attached, rows, folder=tmp_path, limit=LARGE)
    assert prefix is not None
    attached.set_training(True)
    indices = [25, 3, 11, 0, 7, 19]
    batch = collate(rows, indices, 1)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    kept = mask.bool()
    hidden = prefix.gather(indices)
    assert hidden.dtype == attached.backbone.policy.stream_dtype
    assert hidden.shape == (*ids.shape, 32)
    assert not hidden[~kept].any()
    went_on = encode(attached, ids, mask, start=prefix.depth, hidden=hidden)[kept]
    full = encode(attached, ids, mask)[kept]
    tolerance = {"fp32": 1e-5, "bf16": 6e-2, "fp16": 8e-3}[precision]
    torch.testing.assert_close(went_on, full, atol=tolerance, rtol=0)
    weights = torch.randn(full.shape, generator=torch.Generator().manual_seed(0))
    parameters = list(attached.trainable().values())
    gradients = [
        torch.autograd.grad((outputs.float() * weights).mean(), parameters, allow_unused=True)
        for outputs in (went_on, full)
    ]
    moved = 0
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)  # a fusion's projections in the layers below
        if one is not None:
            assert (one - other).norm() <= tolerance * other.norm() + 1e-7
            moved += bool(other.any())
    assert moved


def test_a_batch_may_be_wider_than_its_rows(build, rows, tmp_path):
    prefix = kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    wide = prefix.gather([0, 1], width=40)
    narrow = prefix.gather([0, 1])
    assert torch.equal(wide[:, : narrow.shape[1]], narrow)
    assert wide.shape[1] == 40
    assert not wide[:, narrow.shape[1] :].any()


def test_equal_rows_are_computed_and_stored_once(build, rows, tmp_path, computed):
    prefix = kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    tokens = int(rows.lengths()[:-2].sum())
    assert prefix.states.flat.shape == (tokens, 32)
    assert sum(shape[0] for shape in computed) == len(rows) - 2
    assert torch.equal(prefix.gather([0, 1]), prefix.gather([24, 25]))


def test_seeds_and_compositions_share_one_file_and_it_is_computed_and_checked_once(
    build, rows, tmp_path, computed, monkeypatch
):
    read = []
    monkeypatch.setattr(
        prefix_store, "read_store", lambda *given, real=prefix_store.read_store: (read.append(given), real(*given))[1]
    )
    first = kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    done, checked = len(computed), len(read)
    others = [(TOP, 8), ("lora(r=4, top_layers=1)", 3), ("Fuse({top}, {roof})", 3), ("Stack({top}, " + TOP + ")", 3)]
    for text, seed in others:
        again = kept_prefix(build(text, seed), rows, folder=tmp_path, limit=LARGE)
        assert torch.equal(again.gather(range(len(rows))), first.gather(range(len(rows))))
    assert (len(computed), len(read)) == (done, checked)
    assert len(list(tmp_path.iterdir())) == 1
    prefix_store._OPEN.clear()  # as in another process
    kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    assert (len(computed), len(read)) == (done, checked + 1)


def test_the_mode_of_the_model_is_left_as_it_was_and_the_pass_drops_nothing(tiny, rows, tmp_path):
    attached = attach(tiny, parse_expression("lora(r=4, top_layers=1, dropout=0.5)"), "target", 0)
    for training in (True, False):
        attached.set_training(training)
        before = {name: part.training for name, part in attached.model.named_modules()}
        assert any(before.values()) == training
        kept_prefix(attached, rows, folder=tmp_path / str(training), limit=LARGE)
        assert {name: part.training for name, part in attached.model.named_modules()} == before


def test_the_key_changes_with_whatever_the_outputs_hang_on(at, mini, build, rows, monkeypatch):
    def key(text=TOP, given=rows, depth=2, **options):
        return prefix_key(build(text, **options), given, depth)

    frozen = "Stack({%s}, bottleneck(reduction=4, top_layers=1))"
    shorter = Rows(rows.input_ids.take(np.arange(25)), rows.example[:25], {}, rows.group[:25])
    turned = Rows(rows.input_ids.take(np.arange(26)[::-1]), rows.example, {}, rows.group)
    joined = Ragged.of([[7, 8], [9]]), Ragged.of([[7], [8, 9]])  # the same tokens, cut elsewhere
    keys = [
        key(),
        key(depth=1),
        key(given=make_rows(1)),
        key(given=shorter),
        key(given=turned),
        *(key(given=Rows(ids, np.arange(2), {}, np.arange(2))) for ids in joined),
        key(backbone=at["bf16"]),
        prefix_key(attach(mini, parse_expression(TOP), "target", 0), rows, 2),
        *(key(frozen % name) for name in ("a", "b", "odd", "l")),
        key("Stack({a}, {b}, " + TOP + ")"),
        key("Stack({b}, {a}, " + TOP + ")"),
        key("Stack({a}, {l}, " + TOP + ")"),
        *(key("Stack(Average({a}, {b}, weights=" + weights + "), " + TOP + ")") for weights in ("(1, 1)", "(1, 2)")),
        key("Stack(Average({b}, {a}, weights=(3, 1)), " + TOP + ")"),
        key("Stack(Average({a}, {top}), " + TOP + ")"),  # half of a in the layers that top is not in
        *(key("Stack(Average({l}, {m}, weights=" + weights + "), " + TOP + ")") for weights in ("(1, 1)", "(1, 2)")),
        key("Stack(Merge(linear, {a}, {b}), " + TOP + ")"),
    ]
    monkeypatch.setattr(module, "code_digest", lambda *folders: "another version")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_hang_on_what_stands_above_nor_on_names(build, rows, folders):
    frozen = "Stack({%s}, bottleneck(reduction=4, top_layers=1))"
    assert prefix_key(build(frozen % "a"), rows, 2) == prefix_key(build(frozen % "another_name", seed=9), rows, 2)
    plain = prefix_key(build(TOP), rows, 2)
    assert prefix_key(build("Stack({top}, lora(r=2, top_layers=1))"), rows, 2) == plain
    attached = build(frozen % "a")
    before = prefix_key(attached, rows, 2)
    for name, parameter in attached.model.named_parameters():
        if ".layer.2." in name and ".adapters." in name:
            parameter.data += 1
    assert prefix_key(attached, rows, 2) == before
    for name, parameter in attached.model.named_parameters():
        if ".layer.1." in name and ".adapters.a." in name:
            parameter.data[..., 0] += 1e-7
    assert prefix_key(attached, rows, 2) != before


def test_a_finished_run_has_the_prefix_it_was_trained_on(tiny, build, rows, tmp_path):
    attached = build("Stack({a}, {l}, lora(r=4, top_layers=1))")
    attached.save(tmp_path)
    record = {"backbone": {"digest": tiny.digest, "name": "tiny"}, "trained_on": [], "protected": []}
    (tmp_path / "run.json").write_text(json.dumps(record | {"composition": attached.describe()}))
    run = attach_run(tiny, tmp_path)
    assert prefix_depth(run) == prefix_depth(attached) == 2
    assert prefix_key(run, rows, 2) == prefix_key(attached, rows, 2)


def test_every_flipped_byte_and_every_cut_is_noticed(build, rows, tmp_path):
    kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    assert prefix_store.open_kept(path, path.stem) is not None
    assert prefix_store.open_kept(path, "another key") is not None  # one path has one key: it is part of the name
    prefix_store._OPEN.clear()
    assert prefix_store.open_kept(path, "another key") is None
    places = [*range(1200), *range(1200, len(whole), 211), len(whole) - 1]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        assert prefix_store.open_kept(path, path.stem) is None, f"byte {place}"
    for length in (0, 7, 8, 40, 47, 48, 100, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert prefix_store.open_kept(path, path.stem) is None, f"cut to {length}"
    path.write_bytes(whole)
    assert prefix_store.open_kept(path, path.stem) is not None


@pytest.mark.parametrize("place", [3, 20, 100, 900, -1])
def test_a_file_damaged_even_after_it_was_read_is_made_anew(build, rows, tmp_path, computed, place):
    wanted = kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE).gather(range(26))
    (path,) = tmp_path.iterdir()
    whole = bytearray(path.read_bytes())
    damaged = bytearray(whole)
    damaged[place] ^= 4
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    path.write_bytes(damaged)
    computed.clear()
    assert torch.equal(kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE).gather(range(26)), wanted)
    assert computed
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_mapped_outlives_its_file(build, rows, tmp_path, computed):
    prefix = kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    wanted = prefix.gather(range(26))
    (path,) = tmp_path.iterdir()
    path.unlink()
    computed.clear()
    assert torch.equal(prefix.gather(range(26)), wanted)
    kept_prefix(build(TOP), rows, folder=tmp_path, limit=LARGE)
    assert computed
    assert path.is_file()


def test_the_limit_holds_and_what_was_used_longest_ago_goes(build, tmp_path):
    attached = build(TOP)
    sets = [make_rows(seed) for seed in range(4)]
    sizes = []
    for number, rows in enumerate(sets):
        kept_prefix(attached, rows, folder=tmp_path / str(number), limit=LARGE)
        sizes += [path.stat().st_size for path in (tmp_path / str(number)).iterdir()]
    limit = 2 * max(sizes) + 2000
    assert limit < sum(sorted(sizes)[:3])
    folder, made = tmp_path / "bounded", []
    for number, rows in enumerate(sets):
        before = set(folder.iterdir()) if made else set()
        kept_prefix(attached, rows, folder=folder, limit=limit)
        (new,) = set(folder.iterdir()) - before
        made.append(new)
        os.utime(new, (number, number))
        if number == 1:
            kept_prefix(attached, sets[0], folder=folder, limit=limit)  # used again, so the next one to go is 1
        if number == 2:
            assert set(folder.iterdir()) == {made[0], made[2]}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= limit
    assert made[3] in folder.iterdir()


def test_outputs_beyond_the_limit_are_not_computed(build, rows, tmp_path, computed, monkeypatch):
    assert kept_prefix(build(TOP), rows, folder=tmp_path, limit=1000) is None
    assert kept_prefix(build(TOP), rows, folder=tmp_path, limit=0) is None
    monkeypatch.setenv("ADAPTERXFER_PREFIX_GB", "0")
    assert kept_prefix(build(TOP), rows, folder=tmp_path) is None
    monkeypatch.setenv("ADAPTERXFER_PREFIX_GB", "much")
    with pytest.raises(UserError, match="ADAPTERXFER_PREFIX_GB is 'much'; it must be a number of gigabytes"):
        kept_prefix(build(TOP), rows, folder=tmp_path)
    assert not computed
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("ADAPTERXFER_PREFIX_GB", "0.001")
    monkeypatch.setenv("ADAPTERXFER_CACHE", str(tmp_path))
    assert kept_prefix(build(TOP), rows) is not None
    assert len(list((tmp_path / "prefix").iterdir())) == 1


def in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    return tmp_path / "file"


@pytest.fixture(params=["a file in the way", "a disk that takes no such file"])
def refusing(request, tmp_path):
    """A folder that gets no file of this size."""
    if request.param == "a file in the way":
        yield in_the_way(tmp_path)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield tmp_path / "full"
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_no_file_can_be_made_the_outputs_stay_in_memory_while_they_are_used(
    build, rows, refusing, tmp_path, computed, monkeypatch
):
    attached = build(TOP)
    prefix = kept_prefix(attached, rows, folder=refusing, limit=LARGE)
    batch = collate(rows, [4, 2], 1)
    wanted = encode(attached, batch["input_ids"], batch["attention_mask"], layer=2)[batch["attention_mask"].bool()]
    torch.testing.assert_close(prefix.gather([4, 2])[batch["attention_mask"].bool()], wanted, atol=1e-5, rtol=0)
    done = len(computed)
    assert sum(shape[0] for shape in computed) == 24, "computed for nothing before the disk said no"
    assert kept_prefix(build("lora(r=2, top_layers=1)"), rows, folder=refusing, limit=LARGE) is prefix
    assert len(computed) == done
    del prefix
    monkeypatch.setattr(module, "free_memory", lambda: 100_000)
    assert kept_prefix(attached, rows, folder=refusing, limit=LARGE) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "file"]


def test_an_interruption_leaves_no_file_and_the_mode_as_it_was(build, rows, tmp_path, monkeypatch):
    attached = build(TOP)
    attached.set_training(True)
    calls = []

    def interrupted(*given, **options):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(*given, **options)

    monkeypatch.setattr(module, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept_prefix(attached, rows, folder=tmp_path, limit=LARGE)
    assert not list(tmp_path.iterdir())
    assert any(part.training for part in attached.model.modules())
    assert kept_prefix(attached, rows, folder=tmp_path, limit=LARGE) is not None
    assert len(list(tmp_path.iterdir())) == 1


def _in_a_process(attached, rows, folder, barrier, results):
    torch.set_num_threads(1)  # the threads of the parent are not here
    computed = []

    def slow(*given, **options):
        computed.append(1)
        time.sleep(0.05)
        return encode(*given, **options)

    module.encode = slow
    barrier.wait(30)
    states = kept_prefix(attached, rows, folder=folder, limit=LARGE).gather(range(len(rows)))
    results.put((len(computed), hashlib.sha256(states.numpy().tobytes()).hexdigest()))


def test_of_processes_that_want_the_same_one_computes_and_all_read(build, rows, tmp_path, capfd):
    attached = build(TOP)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    given = attached, rows, tmp_path, barrier, results
    workers = [context.Process(target=_in_a_process, args=given) for _ in range(3)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len({digest for _, digest in answers}) == 1
    computed = sorted(count for count, _ in answers)
    assert computed[:2] == [0, 0]
    assert computed[2] > 3
    assert capfd.readouterr().err.count("waiting for another process") == 2
    (path,) = tmp_path.iterdir()  # and no lock
    assert prefix_store.open_kept(path, path.stem) is not None


HOLDER = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_and_the_half_file_of_a_killed_process_stop_nobody(build, rows, tmp_path, capfd):
    attached = build(TOP)
    key = prefix_key(attached, rows, 2)
    half, other = (tmp_path / f".{name}.prefix.abc.tmp" for name in (key, "another"))
    for path in (half, other):
        path.write_bytes(b"AXFEAT")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / f"{key}.lock")], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    threading.Timer(0.5, holder.kill).start()
    started = time.monotonic()
    assert kept_prefix(attached, rows, folder=tmp_path, limit=LARGE) is not None
    assert time.monotonic() - started > 0.3
    assert "waiting for another process" in capfd.readouterr().err
    assert holder.wait(10) == -signal.SIGKILL
    holder.stdout.close()
    assert set(tmp_path.iterdir()) == {other, tmp_path / f"{key}.prefix"}  # the other one may be in the making
