"""Every cell of the tables of what may be composed how: the allowed compute, train and reload; others refuse."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adapterxfer.engine.encoder import encode, encode_by_library, path_of
from adapterxfer.errors import UserError
from adapterxfer.modules.attach import attach
from adapterxfer.modules.expression import Continue, Merge
from adapterxfer.modules.nesting import BY_LIBRARY, FORMS, NESTINGS, refusal, tables
from adapterxfer.modules.parse import parse_expression

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compositions.md"
FOLDERS = {
    "pfeiffer": ("a", "a2"),
    "houlsby": ("h", "h2"),
    "parallel": ("p", "p2"),
    "invertible": ("i", "i2"),
    "compacter": ("c", "c2"),
    "prefix": ("x", "x2"),
    "lora": ("l", "m"),
    "dora": ("d", "d2"),
    "ia3": ("s", "s2"),
}
FRESH = {
    "pfeiffer": "bottleneck(reduction=4)",
    "houlsby": "bottleneck(reduction=4, kind=houlsby)",
    "parallel": "bottleneck(reduction=4, kind=parallel)",
    "invertible": "bottleneck(reduction=4, invertible=True)",
    "compacter": "compacter(reduction=4, terms=2)",
    "prefix": "prefix(length=3, bottleneck=8)",
    "lora": "lora(r=4)",
    "dora": "lora(r=4, dora=True)",
    "ia3": "ia3()",
}
CELLS = [(written, (form,)) for written in NESTINGS for form in FORMS]
CELLS += [("Stack(a, b)", (low, up)) for low in FORMS for up in FORMS] + [("b", ("", form)) for form in FORMS]


def expression_of(folders, written, forms):
    """The cell's composition of real modules: the lower one of a Stack trained, the upper one fresh."""
    if len(forms) == 2:
        low, up = forms
        return parse_expression(f"Stack({folders / FOLDERS[low][0]}, {FRESH[up]})" if low else FRESH[up])
    one, two = (str(folders / name) for name in FOLDERS[forms[0]])
    head, _, rest = written.partition("(")
    arguments = [{"a": one, "b": two, "c": one}.get(word, word) for word in rest.removesuffix(")").split(", ")]
    return parse_expression(f"{head}({', '.join(arguments)})")


def stir(attached):
    """Distinct non-zero values, small enough for fp32 to hold both paths within 1e-5 of one another."""
    generator = torch.Generator().manual_seed(5)
    for parameter in attached.trainable().values():
        parameter.data.normal_(std=0.1, generator=generator)


RELOAD = """
import json, sys, torch
from pathlib import Path
from adapterxfer.backbone import load_backbone
from adapterxfer.engine.encoder import encode
from adapterxfer.modules.attach import attach_run
base, root = sys.argv[1:]
backbone = load_backbone(base, "fp32")
batch = torch.load(root + "/batch.pt")
for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
    with torch.no_grad():
        hidden = encode(attach_run(backbone, folder), batch["input_ids"], batch["attention_mask"])
    torch.save(hidden, folder / "reloaded.pt")
"""


def test_every_allowed_cell_computes_trains_and_reloads_and_every_other_refuses(
    tiny, tiny_folder, module_folders, tmp_path
):
    batch = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt heute nicht.", "猫は寝ています。"], padding=True)
    ids, mask = torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"])
    kept = mask.bool()
    torch.save({"input_ids": ids, "attention_mask": mask}, tmp_path / "batch.pt")
    outputs, faults = {}, []
    for number, (written, forms) in enumerate(CELLS):
        cell = f"{written} of {' on '.join(reversed(forms))}"
        allowed = forms[0] == "" or refusal(written, *forms) is None
        try:
            expression = expression_of(module_folders, written, forms)
            attached = attach(tiny, Continue(expression) if isinstance(expression, Merge) else expression, "t", 3)
        except UserError as error:
            if allowed:
                faults.append(f"{cell} is refused: {error}")
            continue
        if not allowed:
            faults.append(f"{cell} is not refused")
            continue
        stir(attached)
        hidden = encode(attached, ids, mask)
        if not attached.own_path_only:
            theirs = encode_by_library(attached, ids, mask)
            off = (hidden[kept] - theirs[kept]).abs().max()
            if not off < 2e-5:
                faults.append(f"{cell}: the two paths differ by {off}")
        own = not set(forms) & set(BY_LIBRARY)
        if own != (path_of(attached) == "own"):
            faults.append(f"{cell} runs by {path_of(attached)}")
        if attached.trainable():
            weights = torch.randn(hidden[kept].shape, generator=torch.Generator().manual_seed(0))
            (hidden[kept] * weights).mean().backward()
        without = [name for name, value in attached.trainable().items() if value.grad is None or not value.grad.any()]
        if without:
            faults.append(f"{cell}: no gradient reaches {without[:3]}")
        folder = tmp_path / f"{number:03d}"
        attached.save(folder)
        backbone = {"name": tiny.name, "digest": tiny.digest}
        run = {"composition": attached.describe(), "backbone": backbone, "trained_on": [], "protected": []}
        (folder / "run.json").write_text(json.dumps(run))
        outputs[number] = cell, hidden.detach()
    assert not faults, "\n".join(faults)
    subprocess.run([sys.executable, "-c", RELOAD, str(tiny_folder), str(tmp_path)], check=True)
    for number, (cell, hidden) in outputs.items():
        again = torch.load(tmp_path / f"{number:03d}" / "reloaded.pt")
        if not torch.allclose(hidden, again, atol=1e-5):
            faults.append(f"{cell} reloads with other outputs: {(hidden - again).abs().max()}")
    assert not faults, "\n".join(faults)
    assert len(outputs) > 90


def test_the_tables_of_the_page_are_those_of_the_code():
    page = PAGE.read_text(encoding="utf-8")
    inside = page.partition("<!-- begin: nesting -->\n")[2].partition("\n<!-- end: nesting -->")[0]
    assert inside == tables(), "docs/compositions.md: replace the tables by what nesting.tables() returns"


@pytest.mark.parametrize("written", ["Parallel({a}, {h}, {l}, Stack({l}, {a}), Average({a}, {a2}))"])
def test_a_parallel_gives_each_childs_own_output(tiny, module_folders, written):
    named = {path.name: path for path in module_folders.iterdir()}
    ids = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt."], padding=True, return_tensors="pt")
    arguments = ids["input_ids"], ids["attention_mask"]
    together = attach(tiny, parse_expression(written.format(**named)), "t", 0)
    outputs = encode(together, *arguments).split(2)
    children = ["{a}", "{h}", "{l}", "Stack({l}, {a})", "Average({a}, {a2})"]
    assert len(outputs) == len(children)
    for child, output in zip(children, outputs, strict=True):
        alone = encode(attach(tiny, parse_expression(child.format(**named)), "t", 0), *arguments)
        torch.testing.assert_close(output, alone, atol=1e-5, rtol=1e-5)


def test_a_batch_split_sends_its_rows_through_their_own_child(tiny, module_folders):
    ids = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt.", "猫は寝ています。"], padding=True, return_tensors="pt")
    arguments = ids["input_ids"], ids["attention_mask"]
    a, l = module_folders / "a", module_folders / "l"  # noqa: E741
    split = attach(tiny, parse_expression(f"BatchSplit({a}, {l}, sizes=(1, 2))"), "t", 0)
    output = encode(split, *arguments)
    first = encode(attach(tiny, parse_expression(str(a)), "t", 0), *arguments)
    second = encode(attach(tiny, parse_expression(str(l)), "t", 0), *arguments)
    torch.testing.assert_close(output, torch.cat([first[:1], second[1:]]), atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match="splits 3 rows, and the batch has 2"):
        encode(split, *(one[:2] for one in arguments))


def test_an_average_over_layers_that_one_lacks_is_that_of_a_module_which_adds_nothing_there(tiny, module_folders):
    """By the plain library, with the short module filled up by zeros."""
    import adapters

    ids = tiny.tokenizer(["The cat sleeps.", "Der Zug fährt."], padding=True, return_tensors="pt")
    arguments = ids["input_ids"], ids["attention_mask"]
    where = f"Average({module_folders / 'a'}, {module_folders / 'top'}, weights=(0.7, 0.3))"
    attached = attach(tiny, parse_expression(where), "t", 0)
    assert path_of(attached) == "own"
    ours = encode(attached, *arguments)
    model = tiny.new_model()
    for name, folder in (("a", "a"), ("b", "top")):
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=4))
        values = {
            key.replace(f".adapters.{folder}.", f".adapters.{name}."): value
            for key, value in attached.model.named_parameters()
            if f".adapters.{folder}." in key
        }
        for key, parameter in model.named_parameters():
            if f".adapters.{name}." in key:
                parameter.data = values[key].data if key in values else torch.zeros_like(parameter)
    weights = [1.4, 0.6]  # the library divides by the number of modules once more
    model.set_active_adapters(adapters.composition.Average("a", "b", weights=weights, normalize_weights=False))
    model.eval()
    theirs = model.roberta(input_ids=arguments[0], attention_mask=arguments[1])[0]
    kept = arguments[1].bool()
    torch.testing.assert_close(ours[kept], theirs[kept], atol=1e-5, rtol=1e-5)
