from __future__ import annotations

import pytest
import torch

from vad_toolkit.models.clav_como.class_activate import Gate, KernelBank, build_class_activate
from vad_toolkit.models.clav_como.options import ClavComoHead

HEAD = {"width": 8, "activate_hidden": 4, "kernels": 3}


def features(snippets: int = 7) -> torch.Tensor:
    return torch.randn(2, 8, snippets, generator=torch.Generator().manual_seed(0)).relu()


@pytest.mark.parametrize("tau", [1.0, 30.0])
def test_activations_of_a_snippet_sum_to_one(tau: float) -> None:
    bank = KernelBank(ClavComoHead(**HEAD))
    pi = bank.activation(features(), tau)
    assert pi.shape == (2, 7, 3)
    torch.testing.assert_close(pi.sum(dim=2), torch.ones(2, 7))
    assert (pi >= 0).all()


def test_a_high_temperature_makes_activations_even() -> None:
    bank = KernelBank(ClavComoHead(**HEAD))
    even = torch.full((2, 7, 3), 1 / 3)
    assert (bank.activation(features(), 1e5) - even).abs().max() < 1e-4
    assert (bank.activation(features(), 1.0) - even).abs().max() > 1e-3


def test_the_bank_is_the_sum_it_says() -> None:
    bank = KernelBank(ClavComoHead(**HEAD))
    e = features()
    pi = bank.activation(e, 2.0)
    outputs = torch.stack([kernel(e) for kernel in bank.kernels], dim=1)  # (N, M, d, T)
    expected = e + torch.einsum("ntm,nmdt->ndt", pi, outputs).relu()
    torch.testing.assert_close(bank(e, 2.0), expected)


def test_the_gate_is_between_off_and_the_whole_kernel() -> None:
    gate = Gate(ClavComoHead(**HEAD, activate="gate"))
    e = features()
    whole = gate.kernel(e).relu()
    added = gate(e, 1.0) - e
    assert (added >= -1e-6).all()
    assert (added <= whole + 1e-6).all()


def test_none_changes_nothing() -> None:
    e = features()
    assert torch.equal(build_class_activate(ClavComoHead(**HEAD, activate="none"))(e, 1.0), e)


@pytest.mark.parametrize("activate", ["bank", "gate", "none"])
def test_features_stay_at_least_zero(activate: str) -> None:
    e = features()
    h = build_class_activate(ClavComoHead(**HEAD, activate=activate))(e, 1.0)
    assert h.shape == e.shape
    assert (h >= 0).all()


@pytest.mark.parametrize("activate", ["bank", "gate"])
def test_gradients(activate: str) -> None:
    torch.manual_seed(0)
    module = build_class_activate(ClavComoHead(**HEAD, activate=activate)).double()
    e = torch.rand(1, 8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: module(e, 2.0), (e,))
