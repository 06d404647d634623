"""Every key of a config: its type, range, default and one line about it.

Lengths of time are in epochs, sizes in images, eps and alpha in units of the input's [0, 1].
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator

from advtrain.config.expressions import integer
from advtrain.config.named_files import NamesFiles, Origin
from advtrain.config.names import DATASETS, known_dataset, known_model
from advtrain.config.objectives import (
    OBJECTIVES,
    USUAL_ALPHA,
    Fgsm,
    Free,
    Objective,
    Pgd,
    resolve_alpha,
    step_expression,
)
from advtrain.config.optimization import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Cyclic,
    Optimizer,
    Piecewise,
    Schedule,
    Sgd,
)
from advtrain.config.places import ContradictionError
from advtrain.config.section import Count, Number, Section, Text
from advtrain.config.slurm import Slurm


class Model(NamesFiles):
    """The network. Its first layer normalises, so that attacks live in [0, 1]."""

    name: Text = Field(
        description="a name of `advtrain models`, torchvision:NAME, or import:package.module:Class"
    )
    args: dict[str, Any] = Field({}, description="keyword arguments for the model")
    weights: Text | None = Field(None, description="a state_dict to start from (.pt)")
    normalize: bool = Field(
        True, description="subtract the training set's mean and divide by its sd, per channel"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        return known_model(name, **(info.context or {}))

    @field_validator("args")
    @classmethod
    def _free(cls, args: dict[str, Any]) -> dict[str, Any]:
        if taken := {"name", "in_shape", "num_classes"} & args.keys():
            raise ValueError(f"{' and '.join(sorted(taken))}: set by advtrain, not by the config")
        return args

    @property
    def arguments(self) -> dict[str, Any]:
        """`args`, in which paths are as seen from here."""
        return dict(self.handed_over(self.args, "model.args"))

    @property
    def weights_file(self) -> Path | None:
        """`weights` as seen from here."""
        found = self.weights and self.seen_from_here(self.weights, "model.weights")
        return Path(found) if found else None


class Dataset(NamesFiles):
    """The images and how they are split."""

    name: Text = Field(
        description="a name of `advtrain datasets`, image_folder, or import:package.module:function"
    )
    root: Text = Field("data", description="folder of the files; downloads go there")
    args: dict[str, Any] = Field({}, description="keyword arguments, for import: only")
    image_size: Annotated[Count, Field(ge=1, le=4096)] | None = Field(
        None, description="pixels; image_folder resizes and crops to this square"
    )
    train_size: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="part of the training set, stratified: a count or a fraction below 1"
    )
    val_size: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.1,
        description="fraction of the training images held out for validation, stratified; none "
        "where image_folder has a val/",
    )
    augment: Literal["none", "crop+flip"] = Field(
        "none", description="crop+flip: random crop after padding by an eighth, mirrored by half"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        return known_dataset(name, **(info.context or {}))

    @field_validator("args", "image_size")
    @classmethod
    def _belongs(cls, value: Any, info: Any) -> Any:
        if "name" not in info.data:  # unknown or not found, which is said of itself
            return value
        name = info.data["name"]
        if info.field_name == "args" and value and not name.startswith("import:"):
            raise ValueError("only a dataset of the form import:... takes args")
        if info.field_name == "args" and "train" in value:
            raise ValueError("train: set by advtrain, not by the config")
        if info.field_name == "image_size" and value and name != "image_folder":
            raise ValueError("only image_folder can be resized")
        return value

    @field_validator("train_size")
    @classmethod
    def _whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"expected a count or a fraction below 1, got {value}")
        return value

    @property
    def arguments(self) -> dict[str, Any]:
        """`args`, in which paths are as seen from here."""
        return dict(self.handed_over(self.args, "dataset.args"))

    @property
    def folder(self) -> Path:
        """`root` as seen from here; downloads, which are the same anywhere, prefer it here."""
        if self.name in DATASETS and Path(self.root).exists():
            return Path(self.root)
        return Path(self.seen_from_here(self.root, "dataset.root"))


class Attack(Section):
    """The threat model and projected gradient descent within it (Madry et al. 2018)."""

    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Annotated[Number, Field(ge=0)] = Field(
        0.1, description="radius of the ball, in units of the input's [0, 1]; 8/255 may be written"
    )
    alpha: float | str = Field(
        USUAL_ALPHA, description="step size: a number or an expression in eps and steps"
    )
    steps: Annotated[Count, Field(ge=1)] = Field(10, description="gradient steps; FGSM is one")
    start: Literal["zero", "uniform"] = Field(
        "uniform", description="where it starts: at the image, or anywhere in the ball"
    )
    restarts: Annotated[Count, Field(ge=1)] = Field(
        1, description="independent starts, of which the strongest counts"
    )
    model_mode: Literal["eval", "train"] = Field(
        "eval", description="mode of batch norm and dropout while the attack runs"
    )

    @field_validator("eps")
    @classmethod
    def _in_the_box(cls, eps: float, info: Any) -> float:
        if info.data.get("norm") == "linf" and eps > 1:
            raise ContradictionError(
                f"inputs are in [0, 1], so expected at most 1, got {eps:g} "
                f"(did you mean {eps:g}/255?)", "norm",
            )  # fmt: skip
        return eps

    _step = field_validator("alpha", mode="before")(step_expression)

    @property
    def step_size(self) -> float:
        """Alpha as a number, for this eps and these steps."""
        return resolve_alpha(self.alpha, self.eps, self.steps)


Hopeless = Literal[
    "catastrophic_overfitting", "robust_overfitting", "collapsed", "stuck", "diverged", "broken"
]  # fmt: skip


class Training(Section):
    """How long, and in what portions."""

    epochs: Annotated[Count, Field(ge=1)] = Field(60, description="passes over the training set")
    batch_size: Annotated[Count, Field(ge=1)] = Field(64, description="images a step")
    early_stopping: Annotated[Count, Field(ge=1)] | None = Field(
        None,
        description="stop after so many epochs without a better validation robust accuracy "
        "(of equals the lower loss is better)",
    )
    keep_every: Annotated[Count, Field(ge=1)] | None = Field(
        None, description="keep a checkpoint every N epochs"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the passes that train; bf16 keeps weights and evaluation in fp32"
    )
    compile: bool = Field(
        False, description="torch.compile the network for training; large ones gain after minutes"
    )
    batch_norm: Literal["synchronised", "local"] = Field(
        "synchronised", description="of several processes (torchrun): statistics of the whole "
        "batch, or of each process's own part of it",
    )  # fmt: skip
    ema: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="decay a step of an exponential moving average of the weights, which is "
        "evaluated beside them (0.995 is usual)",
    )  # fmt: skip
    stop_on: list[Hopeless] = Field(
        [], description="states of the verdict that end the run: " + ", ".join(get_args(Hopeless))
    )


class Evaluation(Section):
    """The measurements after each epoch; they never change the training."""

    steps: Annotated[Count, Field(ge=1)] = Field(
        20, description="steps of the evaluating attack, of size 2.5*eps/steps; never fewer than "
        "the training attack's",
    )  # fmt: skip
    every: Annotated[Count, Field(ge=1)] = Field(
        1, description="epochs between measurements on val and test; the last is always measured"
    )
    size: Annotated[Count, Field(ge=1)] = Field(
        1000,
        description="images of val and of test that every epoch is measured on",
    )
    diagnostics: bool = Field(
        True, description="what the verdict's inner axis needs: twice the steps, the stationary "
        "condition, and the training attack on a few training images",
    )  # fmt: skip
    eps: list[Annotated[Number, Field(ge=0)]] = Field(
        [], description="radii at which the robust accuracy of the last weights is also measured"
    )


class Config(Section):
    """One experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = Field(
        "run", description="names the folder of its runs; the file's name unless given"
    )
    seed: Annotated[int, BeforeValidator(integer), Field(ge=0, lt=2**31)] = Field(
        0, description="of initialisation, order, augmentation, attack starts and dropout"
    )
    model: Model
    dataset: Dataset
    attack: Attack = Attack()
    objective: Objective = Pgd()
    optimizer: Optimizer = Sgd()
    schedule: Schedule = Piecewise()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    slurm: Slurm = Slurm()

    # Sections whose keys depend on their `name`, with the classes behind the names.
    CHOICES: ClassVar[dict[str, tuple[type[Section], ...]]] = {
        "objective": OBJECTIVES,
        "optimizer": (Sgd, Adam, AdamW),
        "schedule": (Constant, Piecewise, Cosine, Cyclic),
    }

    _origin: Origin | None = PrivateAttr(None)

    @property
    def origin(self) -> Origin:
        """Set by `load_config`; a config made in Python comes from the current folder."""
        return self._origin or Origin(Path.cwd())

    def come_from(self, origin: Origin) -> None:
        """Note where the config came from; its sections look for files there, too."""
        self._origin = self.model._origin = self.dataset._origin = origin

    @property
    def imports(self) -> dict[str, str]:
        """Its `import:` names, by key: `model.name`, `dataset.name`."""
        names = {
            f"{key}.name": getattr(getattr(self, key), "name", "")
            for key in type(self).model_fields
        }
        return {key: name for key, name in names.items() if name.startswith("import:")}

    @property
    def single_step(self) -> bool:
        """Whether the training's adversary takes one step, which does not solve its problem."""
        return isinstance(self.objective, Fgsm | Free) or self.attack.steps == 1

    @property
    def horizon(self) -> int:
        """Epochs that the learning-rate schedule spans."""
        return self.schedule.horizon or self.training.epochs

    @property
    def eps_settled(self) -> float:
        """Epochs after which the training attack's eps no longer changes."""
        return self.schedule.settled(self.horizon)
