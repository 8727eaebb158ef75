"""Module folders: every tensor accounted for, and damage named."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapterxfer.errors import AdapterxferError, UserError
from adapterxfer.modules.attach import attach
from adapterxfer.modules.parse import parse_expression
from adapterxfer.modules.resolve import resolve


def loaded(tiny, folder):
    return attach(tiny, parse_expression(f"Continue({folder})"), "t", 0)


@pytest.fixture(params=["a", "l"])
def copied(request, module_folders, tmp_path):
    folder = shutil.copytree(module_folders / request.param, tmp_path / request.param)
    return folder, next(folder.glob("*.safetensors"))


def test_a_missing_tensor_is_an_error_that_names_it(tiny, copied):
    folder, path = copied
    tensors = load_file(path)
    tensors.pop(min(tensors))
    save_file(tensors, path)
    with pytest.raises(UserError, match=r"misses tensor .*layer\.0"):
        loaded(tiny, folder)


def test_an_unexpected_tensor_is_an_error_that_names_it(tiny, copied):
    folder, path = copied
    save_file(load_file(path) | {"classifier.weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match=r"unexpected tensor classifier\.weight"):
        loaded(tiny, folder)


def test_a_tensor_of_another_shape_is_an_error(tiny, copied):
    folder, path = copied
    tensors = load_file(path)
    tensors[min(tensors)] = torch.zeros(3)
    save_file(tensors, path)
    with pytest.raises(UserError, match="shape"):
        loaded(tiny, folder)


def test_a_damaged_file_is_an_error(tiny, copied):
    folder, path = copied
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="damaged"):
        loaded(tiny, folder)


def test_a_folder_without_safetensors_is_an_error(copied):
    folder, path = copied
    path.rename(folder / "weights.bin")
    with pytest.raises(UserError, match="save the module as safetensors"):
        resolve(str(folder))


@pytest.mark.parametrize("content", ["[]", "{}", '{"peft_type": "IA3"}', "not json"])
def test_a_folder_that_is_no_module_is_an_error(tmp_path, content):
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(UserError):
        resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["hub:nobody-at-all/no-such-module", "hub:a/b/c/d", "hub:bad name!", "hub:"])
def test_a_hub_name_that_cannot_be_had_is_one_sentence(name):
    with pytest.raises(AdapterxferError, match="hub:") as caught:
        resolve(name)
    assert "\n" not in str(caught.value)
