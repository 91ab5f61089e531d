"""The notebook runs from its first cell to its last, and the site shows it."""

import json
import os
from pathlib import Path

import pytest

from tests.commands.test_documentation_site import DOCS, REPOSITORY, hook

__all__ = ["hook"]  # a fixture
NOTEBOOK = DOCS / "notebook.ipynb"
MINUTES = "0.05"


def test_it_is_kept_without_what_it_printed() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_its_page_has_every_cell_in_order(hook) -> None:
    page = hook.notebook_page(NOTEBOOK)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    places = [page.index("".join(cell["source"])) for cell in cells]
    assert places == sorted(places)
    assert page.count("```python") == sum(cell["cell_type"] == "code" for cell in cells)


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("nbclient", "ipykernel"):
        remedy = f"{package} is not installed: pip install -e '.[notebook]'"
        pytest.importorskip(package, reason=remedy)
    import nbformat
    from nbclient import NotebookClient

    for name, value in {
        "NOTEBOOK_MINUTES": MINUTES,
        "NOTEBOOK_ROUTES": "12",
        "NOTEBOOK_OUTPUT": str(tmp_path / "output"),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=800, resources={"metadata": {"path": str(DOCS)}})
    client.execute()
    printed = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    shown = [output.get("data", {}).get("text/plain", "") for output in printed]  # rich's tables
    texts = "".join([*(output.get("text", "") for output in printed), *shown])
    assert texts.count("Town02, route 12: ") == 2
    assert "no_lights against carl, routes" in texts
    kinds = {kind for output in printed for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    assert (tmp_path / "output" / "view.html").is_file()
