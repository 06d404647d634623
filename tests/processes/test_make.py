"""`make`: a virtual environment whose making was cut off is made again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WHOLE = "#!/bin/sh\necho $* >> said\n"
WITHOUT_PIP = WHOLE + 'case "$*" in *pip*) exit 1;; esac\n'
ENSURES = WHOLE + 'case "$*" in *--version) test -e has-pip;; *ensurepip) touch has-pip;; esac\n'
MAKES = f"""#!/bin/sh
echo makes $* >> said
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
{WHOLE}END
chmod +x .venv/bin/python
"""


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
@pytest.mark.parametrize(
    ("there", "made"),
    [(None, True), (WITHOUT_PIP, True), ("#!/nowhere\n", True), (ENSURES, False), (WHOLE, False)],
    ids=["nothing", "without pip", "broken", "pip can be added", "whole"],
)
def test_an_environment_without_pip_is_made_again(
    tmp_path: Path, there: str | None, made: bool
) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    executable(tmp_path / "python", MAKES)
    if there is not None:
        executable(tmp_path / ".venv/bin/python", there)
    done = subprocess.run(
        ["make", ".venv/installed", "PYTHON=./python"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "said").read_text().splitlines()
    assert ("makes -m venv --clear .venv" in said) is made
    assert said[-1].startswith("-m pip install") and (tmp_path / ".venv/installed").exists()


def executable(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
