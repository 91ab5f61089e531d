"""Writes the site's reference from the sources that commands run by, and the notebook's page."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "configs"
PACKAGES = ("carl_planner", "evaluation", "sim_adapters")
NOTEBOOK = REPOSITORY / "docs" / "notebook.ipynb"
CONFIG_NAME = re.compile(r"(?:(?:hydra|driver)_command\(|config_name=)\"(\w+)\"")
KEY = re.compile(r"^(\w+): *(.*?)(?: +# (.*))?$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, as a hook of mkdocs."""
    from mkdocs.structure.files import File

    for name, content in (
        ("commands", commands_page()),
        ("configuration", configuration_page()),
    ):
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    notebook = File.generated(config, "notebook.md", content=notebook_page(NOTEBOOK))
    files.append(notebook)
    return files


def notebook_page(path: Path) -> str:
    """A notebook's cells as a page: text as it is, code in blocks; what it prints is not kept."""
    cells = json.loads(path.read_text())["cells"]
    parts = [
        f"```python\n{source}\n```" if cell["cell_type"] == "code" else source
        for cell in cells
        for source in ["".join(cell["source"])]
    ]
    return "\n\n".join(parts) + "\n"


def commands() -> dict[str, str | None]:
    """Modules that run as commands, and the config of configs/ that each has, if it has one."""
    found = {}
    for path in sorted(path for name in PACKAGES for path in (REPOSITORY / name).rglob("*.py")):
        text = path.read_text()
        if '__name__ == "__main__"' in text and not _is_worker(path):
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            match = CONFIG_NAME.search(text)
            found[module.removesuffix(".__main__")] = match[1] if match else None
    return found


def commands_page() -> str:
    """A section for each command: its docstring, and its options as its config explains them."""
    parts = ["# Commands\n\nWritten from the commands and `configs/` when these pages are built.\n"]
    for module, name in commands().items():
        parts.append(f"## {module}\n\n{_docstring(module)}\n")
        if name is None:
            parts.append(f"`python -m {module} --help` lists its options.\n")
            continue
        rows = keys_of(CONFIGS / f"{name}.yaml")
        parts.append("| key | default | |\n|---|---|---|")
        parts.append("\n".join(f"| `{k}` | {_code(v)} | {_cell(c)} |" for k, v, c in rows) + "\n")
    return "\n".join(parts)


def configuration_page() -> str:
    """Every option of every config group, as its file says it."""
    parts = [
        "# Configuration\n\n`GROUP=NAME` chooses a file, `GROUP.KEY=VALUE` sets a key of it.\n"
    ]
    for group in sorted(path for path in CONFIGS.iterdir() if path.is_dir()):
        options = sorted(group.rglob("*.yaml"))
        if not options:
            continue
        parts.append(f"## {group.name}\n")
        for path in options:
            name = path.relative_to(group).with_suffix("").as_posix()
            text = path.read_text().rstrip()
            parts.append(f"### {group.name}={name}\n\n```yaml\n{text}\n```\n")
    return "\n".join(parts)


def keys_of(path: Path) -> list[tuple[str, str, str]]:
    """(key, default, comment) of a config's own keys; its groups are on the other page."""
    matches = [KEY.match(line) for line in path.read_text().splitlines()]
    rows = [(match[1], match[2], match[3] or "") for match in matches if match]
    return [row for row in rows if row[0] not in ("defaults", "hydra")]


def _docstring(module: str) -> str:
    base = REPOSITORY.joinpath(*module.split("."))
    path = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def _is_worker(path: Path) -> bool:
    """Whether another process of this project starts it, and no user."""
    return path.stem.endswith(("_worker", "_guard"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""
