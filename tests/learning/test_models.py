"""Every model: shapes, normalisation, imported classes, starting weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from advtrain.errors import SettingError
from advtrain.learning.models import build_model

SMALL = {"wide_resnet": {"depth": 10, "width": 1}}
PARAMETERS = {  # counted by hand, or from the papers' own code
    ("small_cnn", (1, 8, 8)): 160 + 4640 + (128 * 64 + 64) + 650,
    ("madry_cnn", (1, 28, 28)): 832 + 51264 + (3136 * 1024 + 1024) + 10250,
    ("preact_resnet18", (3, 32, 32)): 11_172_170,  # Rice et al. 2020
}


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize(
    "name", ["small_cnn", "madry_cnn", "mlp", "lstm", "preact_resnet18", "wide_resnet"]
)
def test_any_model_takes_any_images(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, in_shape=shape, num_classes=7, **SMALL.get(name, {}))
    assert model.eval()(torch.rand(3, *shape)).shape == (3, 7)


@pytest.mark.parametrize(("name", "shape"), PARAMETERS)
def test_parameters_are_as_published(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, in_shape=shape, num_classes=10)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name, shape]


def test_wide_resnet_28_10_has_36_million_parameters() -> None:
    model = build_model("wide_resnet", in_shape=(3, 32, 32), num_classes=10, depth=28)
    assert sum(p.numel() for p in model.parameters()) == 36_479_194  # Zagoruyko & Komodakis


@pytest.mark.parametrize("channels", [1, 3])
def test_torchvision_models_take_grey_and_colour(channels: int) -> None:
    model = build_model("torchvision:resnet18", in_shape=(channels, 32, 32), num_classes=4)
    assert model.eval()(torch.rand(2, channels, 32, 32)).shape == (2, 4)


def test_an_unknown_torchvision_model_names_the_nearest() -> None:
    with pytest.raises(SettingError, match="did you mean torchvision:resnet18"):
        build_model("torchvision:resnt18", in_shape=(3, 32, 32), num_classes=4)


def test_normalisation_is_the_first_layer() -> None:
    model = build_model("mlp", in_shape=(2, 4, 4), num_classes=3)
    seen: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.rand(5, 2, 4, 4)
    model(x)
    assert torch.equal(seen[-1], x)  # the identity until it is fitted
    model.normalize.fit(torch.tensor([0.1, 0.2]), torch.tensor([0.5, 2.0]))
    model(x)
    torch.testing.assert_close(seen[-1][:, 1], (x[:, 1] - 0.2) / 2.0)
    assert "normalize.mean" in model.state_dict()


def test_the_lstm_depends_on_the_order_of_rows() -> None:
    model = build_model("lstm", in_shape=(1, 8, 8), num_classes=3).eval()
    x = torch.rand(4, 1, 8, 8)
    assert not torch.allclose(model(x), model(x.flip(2)))
    assert any(isinstance(m, nn.LSTM) for m in model.modules())


def test_a_model_of_ones_own_gets_what_it_accepts(advtrain, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, hidden=4):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(),\n"
        "                         nn.Linear(hidden, num_classes))\n"
    )
    done = advtrain("train", tiny, "model={name: 'import:own:net', args: {hidden: 5}}", "--json")
    assert done.code == 0, done.err
    run = Path(json.loads(done.out)["run_dir"])
    weights = torch.load(run / "last.pt", weights_only=True)["model"]
    assert weights["network.1.weight"].shape == (5, 64)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(0)", "SystemExit: 0"),
        ("raise ValueError('moths')", "ValueError: moths"),
        ("return 3", "expected a torch.nn.Module, got int"),
        ("return nn.Flatten()", "expected logits of shape (2, 10) for two images, got (2, 64)"),
        ("return nn.Sequential(nn.Flatten(), nn.AvgPool1d(6))", "no trainable parameter"),
        ("return nn.Linear(3, 3)", "fails on images of shape (1, 8, 8)"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_before_the_run(
    advtrain, tiny: Path, tmp_path: Path, body: str, message: str
) -> None:
    name = f"bad{abs(hash(body))}"  # a module is imported once
    (tmp_path / f"{name}.py").write_text(
        f"import sys\nfrom torch import nn\ndef net():\n    {body}\n"
    )
    override = f"model=import:{name}:net"
    done = advtrain("train", tiny, override)
    assert done.code == 2 and "Traceback" not in done.err
    assert done.err.startswith(f"argument '{override}': model.name: ") and message in done.err
    assert not (tmp_path / "runs" / "tiny").exists()


def test_a_network_that_flattens_with_view_trains(advtrain, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "viewing.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv, self.out = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 10)\n"
        "    def forward(self, x):\n"
        "        x = self.conv(x)\n"
        "        return self.out(x.view(x.size(0), -1))\n"
    )
    done = advtrain("train", tiny, "model=import:viewing:Net")
    assert done.code == 0, done.err


def test_networks_with_extra_outputs_in_training_are_built_without() -> None:
    model = build_model("torchvision:googlenet", in_shape=(3, 64, 64), num_classes=5)
    assert model.train()(torch.rand(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("form", ["checkpoint", "whole", "network"])
def test_a_run_starts_from_given_weights(advtrain, tiny: Path, tmp_path: Path, form: str) -> None:
    donor = Path(json.loads(advtrain("train", tiny, "seed=5", "--json").out)["run_dir"])
    content = torch.load(donor / "last.pt", weights_only=True)
    whole = content["model"]
    network = {k.removeprefix("network."): v for k, v in whole.items() if k.startswith("network.")}
    torch.save({"checkpoint": content, "whole": whole, "network": network}[form], "start.pt")
    still = ["lr=1e-12", "epochs=1", "weights=start.pt", "--json"]
    run = Path(json.loads(advtrain("train", tiny, *still).out)["run_dir"])
    after = torch.load(run / "last.pt", weights_only=True)["model"]
    for key, value in network.items():
        torch.testing.assert_close(after[f"network.{key}"], value)


@pytest.mark.parametrize("content", [{1: torch.ones(1)}, [1, 2], {"f.weight": torch.ones(3)}])
def test_weights_that_do_not_fit_are_refused(advtrain, tiny: Path, content: object) -> None:
    torch.save(content, "start.pt")
    done = advtrain("train", tiny, "weights=start.pt")
    assert done.code == 2
    assert done.err.startswith("argument 'weights=start.pt': model.weights: start.pt: ")
