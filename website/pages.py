"""The pages that people wrote, laid out for the site: docs/ as it is, and four files from elsewhere in the repository.

No axes or units. A link to a file of the repository that is no page of the site becomes plain text; one to nothing
stays as it is, so that the build fails.
"""

import os
import re
import shutil
from pathlib import Path

FROM_ELSEWHERE = {
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "README.md": "index.md",  # whoever links to it means the front page
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def lay_out(repository: Path, pages: Path) -> None:
    """Copies `docs/` and what belongs to it to the folder `pages`, with links that hold there."""
    shutil.copytree(repository / "docs", pages, ignore=shutil.ignore_patterns("__pycache__"))
    homes = {(repository / "docs" / path.relative_to(pages)).resolve(): path for path in pages.rglob("*.*")}
    for source, name in FROM_ELSEWHERE.items():
        homes[(repository / source).resolve()] = pages / name
    for source, path in homes.items():
        if source.suffix == ".md" and source != (repository / "README.md").resolve():
            text = source.read_text(encoding="utf-8")
            path.write_text(relinked(text, source, path, homes), encoding="utf-8")
    shutil.copy(Path(__file__).with_name("site.css"), pages / "site.css")


def relinked(text: str, source: Path, path: Path, homes: dict[Path, Path]) -> str:
    """The text of `source` with links as they are from `path`."""

    def one(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        wanted = (source.parent / target).resolve()
        if wanted in homes:
            return f"[{words}]({os.path.relpath(homes[wanted], path.parent)}{anchor})"
        if not wanted.exists():
            return link[0]
        return words if words.startswith("`") else f"{words} (`{target.lstrip('./')}`)"

    parts = FENCE.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(one, part) for part in parts)
