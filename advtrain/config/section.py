"""What all sections of a config share: strictness, and numbers as people write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from advtrain.config.expressions import integer, number


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Number = Annotated[float, BeforeValidator(number)]
Count = Annotated[int, BeforeValidator(integer), Field(le=1_000_000)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_no_nul)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
