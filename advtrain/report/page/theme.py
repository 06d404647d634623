"""The page's colours in a light and a dark theme, as variables that figures and text share."""

from __future__ import annotations

from collections.abc import Mapping

from advtrain.report.figures.style import COLOURS

# The variable for each colour that figures are drawn with.
VARIABLES = {hex: name.replace("_", "-") for name, hex in COLOURS.items()}

# Text stands out 4.5:1 from paper, soft and the fill of its own verdict, in both themes.
_LIGHT = COLOURS | {"paper": "#fefdfb", "soft": "#f5f3ee", "link": "#0b5a94", "rule": "#dcd9d1"}
_DARK = {
    "ink": "#e7e5e0",
    "muted": "#a4abb3",
    "grid": "#31373d",
    "paper": "#15181b",
    "train": "#f0955a",
    "val": "#4fc79b",
    "test": "#6cb6ee",
    "single_step": "#cf9be0",
    "reference": "#9aa1aa",
    "window": "#223445",
    "chance": "#cdbb54",
    "side_a": "#6cb6ee",
    "side_b": "#f0955a",
    "true": "#62d3a8",
    "false": "#f59a70",
    "null": "#b3bcc6",
    "failed": "#e39ad8",
    "waiting": "#a4abb3",
    "mixed": "#e3c25a",
    "true_fill": "#123b2e",
    "false_fill": "#4a2415",
    "null_fill": "#2c333a",
    "failed_fill": "#431d3d",
    "waiting_fill": "#1c2024",
    "mixed_fill": "#40350f",
    "soft": "#1d2125",
    "link": "#86c1f2",
    "rule": "#363c42",
}


def css() -> str:
    """The variables: as the system asks, or as `data-theme` says; light on paper."""
    light, dark = _variables(_LIGHT), _variables(_LIGHT | _DARK)
    return (
        f":root{{color-scheme:light;{light}}}"
        "@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
    )


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name.replace('_', '-')}:{hex};" for name, hex in colours.items())
