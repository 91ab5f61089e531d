"""What a page of docs/ prints: files to write and commands to run."""

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def page_files(page: str) -> dict[str, str]:
    """Code blocks of a page that open with `# NAME`, hydra's own header aside, by name."""
    blocks = re.findall(r"^```(?:python|yaml)\n(.*?)^```", text_of(page), re.M | re.S)
    named = [re.match(r"(?:# @package .*\n)?# ([\w/]+\.(?:py|yaml))\n", block) for block in blocks]
    return {match[1]: block for match, block in zip(named, blocks, strict=True) if match}


def page_commands(page: str) -> list[list[str]]:
    """Words of each indented command of a page, comments left out."""
    lines = re.findall(r"^ {4}((?:\w+=\S+ )*(?:python|torchrun) .*)$", text_of(page), re.M)
    return [shlex.split(line, comments=True) for line in lines]


def text_of(page: str) -> str:
    return (DOCS / page).read_text()
