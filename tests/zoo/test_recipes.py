"""The recipes: every one is sound, and one runs end to end."""

import pytest

from adapter_zoo.recipes import load_recipe, recipe_names, run_recipe
from adapterxfer.errors import UserError
from adapterxfer.modules.parse import parse_expression
from adapterxfer.tasks import load_task


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_names_a_task_an_expression_and_recipes_that_exist(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert load_task(recipe.task)
    text = recipe.adapter or recipe.compose
    for written, place in recipe.needs(0).items():
        assert place.split("/")[0] in recipe_names()
        text = text.replace(written, place)
    assert parse_expression(text)


def test_a_recipe_runs_and_a_second_call_takes_the_finished_run(tiny, tmp_path):
    path = tmp_path / "quick.yaml"
    path.write_text(
        "{name: quick, about: a test, backbone: mini, verb: target, task: sample_nli, adapter: lora(r=2), seeds: [1],"
        " options: {steps: 2, max_examples: 8, max_eval_examples: 4}}"
    )
    recipe = load_recipe(str(path))
    first = run_recipe(recipe, 1, tmp_path / "out", tiny, None)
    written = (first.folder / "run.json").stat().st_mtime_ns
    second = run_recipe(recipe, 1, tmp_path / "out", tiny, None)
    assert (second.folder / "run.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("content", "says"),
    [("[1]", "no keys"), ("{name: x}", "needs name"), ("{nam: x}", "unknown nam"), ("{", "not YAML")],
)
def test_a_recipe_that_cannot_be_read_is_named(tmp_path, content, says):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=says):
        load_recipe(str(path))


def test_a_recipe_whose_source_has_not_run_says_which(tiny, tmp_path):
    with pytest.raises(UserError, match="run that recipe first"):
        run_recipe(load_recipe("xcopa-stack-nli"), 0, tmp_path, tiny, None)
