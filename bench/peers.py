"""Other ways to train the same, each as its readers write it. `make(workload)` gives a round."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from bench.workloads import Workload, floats, images, textbook_model, textbook_optimizer

Round = Callable[[], None]


class Pictures(Dataset[Any]):
    """A dataset in torchvision's style: an image and its transforms for each item."""

    def __init__(self, workload: Workload) -> None:
        pixels, labels, _ = images(workload.dataset, workload.count)
        grey = pixels.shape[1] == 1
        self.data = (pixels[:, 0] if grey else pixels.permute(0, 2, 3, 1)).numpy()
        self.targets = labels
        self.transform = transforms.Compose([transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), int(self.targets[index])


def pictures(workload: Workload) -> DataLoader[Any]:
    """Batches of a dataset in torchvision's style."""
    return DataLoader(Pictures(workload), batch_size=workload.batch, shuffle=True)


def tensors(workload: Workload) -> DataLoader[Any]:
    """Batches of a dataset held as tensors."""
    return DataLoader(TensorDataset(*floats(workload)), batch_size=workload.batch, shuffle=True)


def article(workload: Workload) -> Round:
    """The attack of tutorials: loss.backward(), which also computes every weight's gradient."""
    model, loader = textbook_model(workload), pictures(workload)
    optimizer = textbook_optimizer(workload, model)

    def attack(x: Tensor, y: Tensor) -> Tensor:
        original = x.clone()
        for _ in range(workload.steps):
            x.requires_grad = True
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            assert x.grad is not None
            moved = x + workload.alpha * x.grad.sign()
            delta = torch.clamp(moved - original, -workload.eps, workload.eps)
            x = torch.clamp(original + delta, 0, 1).detach()
        return x

    return lambda: _loop(workload, model, loader, optimizer, attack)


def torchattacks(workload: Workload, loader: DataLoader[Any]) -> Round:
    """torchattacks' PGD in a plain loop."""
    import torchattacks

    model = textbook_model(workload)
    attack = torchattacks.PGD(model, workload.eps, workload.alpha, workload.steps)
    optimizer = textbook_optimizer(workload, model)
    return lambda: _loop(workload, model, loader, optimizer, attack)


def _loop(
    workload: Workload,
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    attack: Callable[[Tensor, Tensor], Tensor],
) -> None:
    for _ in range(workload.epochs):
        total = 0.0
        for x, y in loader:
            x_adv = attack(x, y)
            model.train()
            loss = F.cross_entropy(model(x_adv), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()


class _Latent(nn.Module):
    """Takes the extra arguments that `robustness` gives its networks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        out: Tensor = self.inner(x)
        return out


def robustness(workload: Workload) -> Round:
    """MadryLab's training loop, its default `use_best` and its calls of .cuda() made to do nothing.

    Without that it cannot run on a CPU. The images are those of the DataLoader above.
    """
    from robustness.attacker import AttackerModel
    from robustness.train import _model_loop

    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda self, *_, **__: self
    plain = SimpleNamespace(mean=torch.zeros(1), std=torch.ones(1))  # the network has its own
    model = AttackerModel(_Latent(textbook_model(workload)), plain)
    optimizer, loader = textbook_optimizer(workload, model), pictures(workload)
    args = SimpleNamespace(
        eps=workload.eps, attack_lr=workload.alpha, attack_steps=workload.steps, constraint="inf",
        random_start=True, use_best=True, custom_eps_multiplier=None, custom_train_loss=None,
        custom_adv_loss=None, mixed_precision=False, random_restarts=0,
    )  # fmt: skip

    def go() -> None:
        for epoch in range(workload.epochs):
            _model_loop(args, "train", loader, model, optimizer, epoch, True, None)

    return go


def art(workload: Workload) -> Round:
    """ART's AdversarialTrainerMadryPGD, which holds its images as an array."""
    from art.defences.trainer import AdversarialTrainerMadryPGD
    from art.estimators.classification import PyTorchClassifier

    model = textbook_model(workload)
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), workload.shape, 10,
        optimizer=textbook_optimizer(workload, model), clip_values=(0, 1),
        device_type="gpu" if torch.cuda.is_available() else "cpu",
    )  # fmt: skip
    trainer = AdversarialTrainerMadryPGD(
        classifier, workload.epochs, workload.batch, workload.eps, workload.alpha, workload.steps
    )
    x, y = floats(workload)
    x_array, y_array = x.numpy(), F.one_hot(y, 10).float().numpy()

    def go() -> None:
        with contextlib.redirect_stdout(None):
            trainer.fit(x_array, y_array)

    return go
