"""A file that runs as a command defines everything before it does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("carl_planner", "evaluation", "rewards", "sim_adapters")


def _guards(file: Path) -> list[int]:
    """Places of `if __name__ == "__main__"` among a file's statements, from its end: 0 is last."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return [
        len(body) - 1 - place
        for place, statement in enumerate(body)
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_guard_is_the_last_statement(package: str) -> None:
    found = {file: _guards(file) for file in sorted((ROOT / package).rglob("*.py"))}
    assert [str(file) for file, places in found.items() if places not in ([], [0])] == []
    assert package == "rewards" or any(found.values())
