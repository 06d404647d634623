"""Test images, what the attack adds to them, and what the network says before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advtrain.report.figures.layout import HALF, fit, write
from advtrain.report.figures.style import SIZE, SMALL, figure
from advtrain.store.examples_npz import Examples, ShownStage

_LEFT, _RIGHT, _GAP = 0.95, 0.14, 0.06  # of a half: room for the rows' names, and between images
_BELOW = 0.27  # an image: its caption
_HEAD = 0.75
_MOST = 1.15  # inches of an image
_FINE = 96  # pixels across an image as drawn, about
# Below and above the image's own value; the colours of a perturbation of a grey image.
_DOWN, _UP = (np.array(rgb) for rgb in ((0.13, 0.30, 0.67), (0.70, 0.21, 0.04)))

_HOW = {False: "perturbation: blue darkens, red lightens", True: "perturbation around mid-grey"}


@figure
def examples(found: Examples, run: str = "") -> Figure:
    """A column an image: x, then for each stage the perturbation, scaled, and x_adv.

    `run` says which of several runs they are of. Below the perturbation stands what was predicted
    of x, with its probability, below x_adv what was predicted of that; a wrong class is marked.
    """
    per_half = -(-len(found.images) // 2)
    size = min(_MOST, (HALF - _LEFT - _RIGHT) / per_half - _GAP)
    height = _HEAD + (size + _BELOW) * (1 + 2 * len(found.stages)) + 0.1
    made = Figure(figsize=(2 * HALF, height))
    colour = found.images.shape[1] >= 3
    titles = (f"Adversarial examples of test images{', ' if run else ''}{run}",
              f"perturbed by the evaluation's attack, {found.norm}")  # fmt: skip
    words = ("predicted class and its probability; ✗ wrong", _HOW[colour])
    for half, (title, said) in enumerate(zip(titles, words, strict=True)):
        x, of = half * HALF, range(half * per_half, min((half + 1) * per_half, len(found.images)))
        write(made, x + 0.14, height - 0.22, fit(title, HALF - 0.3, SIZE + 1), SIZE + 1)
        write(made, x + 0.14, height - 0.46, said, SMALL, "muted")
        if of:
            _column(made, found, of, x, height - _HEAD, size)
    return made


def _column(made: Figure, found: Examples, of: range, x: float, top: float, size: float) -> None:
    """The images of one half, row by row, each with its caption."""
    part, tall = slice(of.start, of.stop), size + _BELOW
    rows: list[tuple[NDArray[np.float64], tuple[str, ...], str, list[tuple[str, bool]]]] = [
        (found.x[part], ("x",), "true class", [(str(found.label[i]), True) for i in of])
    ]
    for name, stage in found.stages.items():
        rows += [
            (
                perturbation_colours(stage.delta[part]),
                (name, f"epoch {stage.epoch}", f"full: ±{stage.scale:.3g}"),
                "of x",
                [_answer(stage, "clean", i, int(found.label[i])) for i in of],
            ),
            (
                found.x_adv(name)[part],
                ("x_adv", f"eps {stage.eps:.3g}"),
                "of x_adv",
                [_answer(stage, "robust", i, int(found.label[i])) for i in of],
            ),
        ]
    small = SMALL if size > 0.75 else SMALL - 1
    for number, (images, names, caption, answers) in enumerate(rows):
        y = top - number * tall
        _row(made, images, x, y, size)
        _names(made, x, y, size, names)
        below = y - size - 0.11
        write(made, x + 0.14, below, caption, SMALL, "muted")
        for at, (text, right) in enumerate(answers):
            middle = x + _LEFT + at * (size + _GAP) + size / 2
            write(made, middle, below, text, small, "ink" if right else "false", ha="center")
    if not found.stages:
        write(made, x + 0.14, top - tall, "no stage yet", SMALL, "muted")


def _row(made: Figure, images: NDArray[np.float64], x: float, top: float, size: float) -> None:
    """Images (n, C, H, W) as one mosaic: one artist is drawn faster than many."""
    finer = max(1, round(_FINE / images.shape[-1]))  # so that the gaps can be narrower than pixels
    images = images.repeat(finer, axis=2).repeat(finer, axis=3)
    n, channels, high, wide = images.shape
    gap = round(wide * _GAP / size)
    mosaic = np.full((high, n * wide + (n - 1) * gap, 4), 0.0)
    for i, image in enumerate(images):
        at = i * (wide + gap)
        rgb = image[:3] if channels >= 3 else np.repeat(image[:1], 3, axis=0)
        mosaic[:, at : at + wide, :3] = np.clip(np.moveaxis(rgb, 0, -1), 0, 1)
        mosaic[:, at : at + wide, 3] = 1.0
    width, height = made.get_size_inches()
    broad = size * mosaic.shape[1] / wide
    axes = made.add_axes(((x + _LEFT) / width, (top - size) / height, broad / width, size / height))
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    axes.set_axis_off()


def _names(made: Figure, x: float, top: float, size: float, lines: tuple[str, ...]) -> None:
    """What a row is, beside it."""
    first = top - size / 2 + 0.08 * (len(lines) - 1)
    for i, text in enumerate(lines):
        write(made, x + 0.14, first - 0.165 * i, fit(text, _LEFT - 0.16, SMALL), SMALL,
              "ink" if i == 0 else "muted")  # fmt: skip


def _answer(stage: ShownStage, which: str, i: int, label: int) -> tuple[str, bool]:
    """Predicted class and probability of an image, and whether it is the right one."""
    said = int(getattr(stage, f"{which}_label")[i])
    share = 100 * float(getattr(stage, f"{which}_confidence")[i])
    return f"{'' if said == label else '✗ '}{said} {share:.0f}%", said == label


def perturbation_colours(delta: NDArray[np.int8]) -> NDArray[np.float64]:
    """Perturbations (n, C, H, W) in [-127, 127] as images: colour around grey, or blue and red.

    Of grey images blue darkens and red lightens, white changes nothing.
    """
    share = delta.astype(float) / 127
    if share.shape[1] >= 3:
        return np.asarray(0.5 + share / 2)
    strength = np.abs(share[:, :1])
    colour = np.where(share[:, :1] < 0, _DOWN[:, None, None], _UP[:, None, None])
    return np.asarray(1 - strength * (1 - colour))


def examples_alt(found: Examples, run: str = "") -> str:
    """How many are right before and after, by stage."""
    n = len(found.images)
    parts = []
    for name, stage in found.stages.items():
        right = [int((getattr(stage, f"{w}_label") == found.label).sum())
                 for w in ("clean", "robust")]  # fmt: skip
        parts.append(
            f"after the {name} epoch ({stage.epoch}) {right[0]} of {n} are classified "
            f"rightly, {right[1]} when perturbed by eps {stage.eps:.3g}"
        )
    of = f", {run}" if run else ""
    return f"{n} test images and their perturbations{of}: {'; '.join(parts) or 'no stage yet'}."
