"""Figures of these tests are drawn in the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from advtrain.report.figures import drawing


@pytest.fixture(scope="package", autouse=True)
def drawn_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_processors", lambda: 1)
        yield
