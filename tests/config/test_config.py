"""What a config means: scalars, short keys, `base`, alpha, identity, and its own text again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from advtrain.config.expressions import evaluate
from advtrain.config.identity import identity, to_yaml
from advtrain.config.load import load_config
from advtrain.config.overrides import resolve_key
from advtrain.config.schema import Config
from advtrain.config.yaml_tree import parse
from advtrain.errors import ConfigError

GOOD = "model: mlp\ndataset: digits\n"
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load(folder: Path, text: str = GOOD, *overrides: str, name: str = "c.yaml") -> Config:
    (folder / name).write_text(text, encoding="utf-8")
    return load_config(folder / name, overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/255", 8 / 255), ("1e-4", 1e-4), ("0.03", 0.03), (".5", 0.5), ("1", 1.0),
        ("(1 + 1) / 4", 0.5), ("-(-0.5)", 0.5), ("'8/255'", 8 / 255),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(tmp_path: Path, text: str, value: float) -> None:
    assert load(tmp_path, f"{GOOD}attack: {{eps: {text}}}\n").attack.eps == value
    assert load(tmp_path, GOOD, f"eps={text}").attack.eps == value


def test_whole_numbers_may_have_an_exponent(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, "epochs=1e2", "model.args.width=1e1")
    assert (config.training.epochs, config.model.args["width"]) == (100, 10)
    assert isinstance(config.training.epochs, int) and isinstance(config.model.args["width"], int)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("0o17", "0o17"), ("1_000", "1_000"),
        ("2026-11-23", "2026-11-23"), ("=", "="), ("True", True), ("false", False), ("Null", None),
        ("~", None), ("", None), ("'true'", "true"), ('"1"', "1"), ("1e3", 1000.0), ("-07", -7),
        ("1e999", "1e999"), ("[a, 1]", ["a", 1]),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    found = parse(text).value
    assert found == value and type(found) is type(value)


@FEW
@given(st.text())
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    tree = parse(text)
    for (line, column), sentence in tree.problems:
        assert line >= 1 and column >= 1 and sentence


@FEW
@given(st.text("0123456789.+-*/() epsn", max_size=30))
def test_an_expression_is_a_finite_number_or_refused(text: str) -> None:
    try:
        value = evaluate(text, eps=0.5, steps=10.0)
    except ValueError as error:
        assert str(error)
    else:
        assert abs(value) < float("inf")


@pytest.mark.parametrize(
    ("short", "path"),
    [
        ("eps", "attack.eps"), ("alpha", "attack.alpha"), ("steps", "attack.steps"),
        ("norm", "attack.norm"), ("lr", "optimizer.lr"), ("epochs", "training.epochs"),
        ("weight_decay", "optimizer.weight_decay"), ("batch_size", "training.batch_size"),
        ("val_size", "dataset.val_size"), ("gamma", "schedule.gamma"), ("seed", "seed"),
        ("evaluation.eps", "evaluation.eps"), ("model", "model"), ("name", "name"),
    ],
)  # fmt: skip
def test_a_short_key_stands_for_the_whole_one(short: str, path: str) -> None:
    assert resolve_key(short) == path


def test_alpha_is_resolved_after_overrides(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, "eps=0.2", "steps=5").attack.step_size == pytest.approx(0.1)
    text = GOOD + "attack: {alpha: eps/4, eps: 0.1}\n"
    assert load(tmp_path, text).attack.step_size == pytest.approx(0.025)
    assert load(tmp_path, text, "eps=0.2").attack.step_size == pytest.approx(0.05)
    assert load(tmp_path, text, "eps=0.2", "alpha=1/100").attack.step_size == 0.01


def test_base_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    (tmp_path / "root.yaml").write_text(
        "model: {name: mlp, args: {width: 8, depth: 3}}\ndataset: digits\n"
        "attack: {eps: 0.2, steps: 3}\nschedule: {milestones: [1, 2, 3], gamma: 0.5}\n"
        "optimizer: {name: adam, lr: 0.01, betas: [0.5, 0.6]}\n"
    )
    (tmp_path / "middle.yaml").write_text(
        "base: root.yaml\nseed: 3\ndataset: {val_size: 0}\noptimizer: sgd\n"
    )
    config = load(
        tmp_path,
        "base: middle.yaml\nattack: {eps: 0.1}\nmodel: {args: {width: 9}}\n"
        "schedule: {milestones: [7]}\n",
    )
    assert (config.seed, config.name) == (3, "c")
    assert config.model.args == {"width": 9, "depth": 3}
    assert (config.attack.eps, config.attack.steps) == (0.1, 3)
    assert (config.dataset.name, config.dataset.val_size) == ("digits", 0)
    assert (config.schedule.gamma, config.schedule.milestones) == (0.5, [7])
    assert (config.optimizer.name, config.optimizer.lr) == ("sgd", 0.05)


def test_base_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yaml").write_text("base: ../root.yaml\n")
    (tmp_path / "root.yaml").write_text(GOOD + "seed: 5\n")
    assert load(tmp_path, "base: sub/b.yaml\n").seed == 5


def test_a_later_override_counts(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, "optimizer={name: adam, lr: 1}", "lr=2", "eps=0.2", "eps=0.3")
    assert (config.optimizer.name, config.optimizer.lr, config.attack.eps) == ("adam", 2, 0.3)
    assert load(tmp_path, GOOD, "optimizer=adamw").optimizer.weight_decay == 0.01


def test_problems_have_the_place_that_set_the_value(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(GOOD + "attack: {eps: 3}\ntraining: {epochs: 0}\n")
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "base: b.yaml\nattack:\n  eps: 4\n", "lr=0")
    places = [problem.split(": ")[0] for problem in error.value.problems]
    assert places == [f"{tmp_path}/c.yaml:3:3", "argument 'lr=0'", f"{tmp_path}/b.yaml:4:12"]


def test_identity_is_of_what_differs_from_the_defaults(tmp_path: Path) -> None:
    first = identity(load(tmp_path))
    assert len(first) == 8 and int(first, 16) >= 0
    same = [
        load(tmp_path, "dataset: {name: digits}\nmodel: {name: mlp, args: {width: 256}}\n"),
        load(tmp_path, GOOD + "attack: {eps: 0.1, steps: 10}\nseed: 0\n", name="other.yaml"),
        load(tmp_path, GOOD, "name=other", "root=elsewhere", "optimizer=sgd", "lr=1/20"),
        load(tmp_path, GOOD, "alpha=2.5 * eps / steps"),
    ]
    assert {identity(config) for config in same} == {first}
    overrides = [
        "seed=1", "eps=0.2", "lr=0.1", "width=3", "objective=standard", "schedule=constant",
        "optimizer=adam", "model=small_cnn", "val_size=0", "every=2",
    ]  # fmt: skip
    overrides = [o.replace("width", "model.args.width") for o in overrides]
    others = [identity(load(tmp_path, GOOD, override)) for override in overrides]
    others += [identity(load(tmp_path), parent=p) for p in ("0123abcd@5", "0123abcd@6")]
    assert len({first, *others}) == 1 + len(others)


def test_identity_knows_the_content_of_weights_not_their_path(tmp_path: Path) -> None:
    names = ("a.pt", "b.pt", "c.pt")
    for name, content in zip(names, (b"1", b"1", b"2"), strict=True):
        (tmp_path / name).write_bytes(content)
    a, b, c = (identity(load(tmp_path, GOOD, f"weights={tmp_path / name}")) for name in names)
    assert a == b != c and a != identity(load(tmp_path))


WORDS = st.text(max_size=12) | st.sampled_from(
    ["1e3", "1.0e5", "tRUE", "nULL", "no", "1:30", "-.5", "~", "<<", "8/255", "a: b", "# c", "'"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | WORDS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@FEW
@example({"\x85": "\x85"}, 0.1, 0.05, 0)  # ends a line, for YAML
@example({" a\r\u2028\n b": ["\u2029 ", "\r\n"]}, 0.1, 0.05, 0)
@given(
    VALUES, st.just(0.0) | st.floats(1e-6, 1), st.floats(1e-300, 1e300), st.integers(0, 2**31 - 1)
)
def test_a_config_as_text_is_the_same_config(
    tmp_path: Path, value: Any, eps: float, lr: float, seed: int
) -> None:
    config = Config.model_validate({
        "model": {"name": "import:json:loads", "args": {"value": value}},
        "dataset": {"name": "digits"},
        "attack": {"eps": eps},
        "optimizer": {"name": "sgd", "lr": lr},
        "seed": seed,
    })  # fmt: skip
    again = load(tmp_path, to_yaml(config, "a header\nof two lines"))
    assert again.model_dump() == config.model_dump()
    assert identity(again) == identity(config)


def test_print_config_can_be_loaded_again(advtrain, tmp_path: Path) -> None:
    overrides = ["eps=8/255", "optimizer=adamw", "model.args.width=1e1", "schedule=cosine"]
    config = load(tmp_path, GOOD, *overrides)
    done = advtrain("train", tmp_path / "c.yaml", *overrides, "--print-config")
    assert done.code == 0 and not (tmp_path / "runs").exists()
    again = load(tmp_path, done.out, name="again.yaml")
    assert again == config and identity(again) == identity(config)
    assert set(yaml.safe_load(done.out)) == set(Config.model_fields)
