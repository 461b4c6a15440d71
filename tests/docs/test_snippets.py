"""Every Python block of the documents runs, in order, page by page.

The blocks of a page share one namespace and an empty working directory. A block that cannot run
here is preceded by the line ``<!-- not run: why -->``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"(?P<skip><!-- not run: [^\n]+ -->\s*\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block of code and the line it starts at."""

    line: int
    code: str


def snippets_of(text: str) -> list[Snippet]:
    """Return the blocks of a page that are to be run."""
    return [
        Snippet(text.count("\n", 0, found.start("code")) + 1, found["code"])
        for found in BLOCK.finditer(text)
        if not found["skip"]
    ]


def run_page(path: Path) -> None:
    """Run the blocks of a page; a traceback points at the page's own lines."""
    namespace = {"__name__": "__main__", "__file__": str(path)}
    for snippet in snippets_of(path.read_text()):
        exec(compile("\n" * (snippet.line - 1) + snippet.code, path, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    blocks = len(re.findall(r"^ *```(?:python|py)\b", text, re.MULTILINE))
    skipped = len(re.findall(r"^<!-- not run: ", text, re.MULTILINE))
    assert len(snippets_of(text)) == blocks - skipped, "a block is indented, not closed, or not fenced as ```python"
    run_page(page)


PAGE = """Text.

```python
x = 1
```

<!-- not run: needs a server -->
```python
boom()
```

```python
x / 0
```
"""


def test_a_failing_block_is_reported_at_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(ZeroDivisionError) as failed:
        run_page(page)
    assert failed.traceback[-1].lineno + 1 == 13
    assert failed.traceback[-1].path == page
