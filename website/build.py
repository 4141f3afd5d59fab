"""The documentation site: pages laid out, built by zensical, and proved to load nothing from elsewhere.

No axes or units. `python website/build.py build` leaves the pages in build/pages and the site in build/html.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from api import api_pages
from links import broken_links, foreign_loads
from pages import lay_out
from verbs import verb_pages

REPOSITORY = Path(__file__).parents[1]
# Of the theme's script, where it would fetch diagrams, polyfills and counts of stars. None of it is used here, and a
# browser that lacks something goes without.
ELSEWHERE = re.compile(r"https://(?:unpkg\.com|cdn\.jsdelivr\.net|api\.github\.com)/[^\"'`]*")


def build(out: Path) -> Path:
    """The site in `out/html`; ends the program where a link leads nowhere."""
    made = {"verbs": verb_pages(), "api": api_pages()}
    shutil.rmtree(out / "pages", ignore_errors=True)
    shutil.rmtree(out / "html", ignore_errors=True)
    lay_out(REPOSITORY, out / "pages")
    for folder, pages in made.items():
        for name, text in pages.items():
            path = out / "pages" / folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    config = (REPOSITORY / "zensical.toml").read_text(encoding="utf-8")
    (out / "zensical.toml").write_text(with_all_pages(config, made), encoding="utf-8")

    program = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(program, cwd=out, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: zensical: {done.stdout}{done.stderr}")
    site = out / "html"
    for script in site.rglob("*.js"):
        script.write_text(ELSEWHERE.sub("", script.read_text(encoding="utf-8")), encoding="utf-8")
    if wrong := [*broken_links(site), *foreign_loads(site)]:
        sys.exit("\n".join(f"error: {line}" for line in wrong))
    return site


def with_all_pages(config: str, made: dict[str, dict[str, str]]) -> str:
    """The configuration with every page that was made, behind the index of its folder."""
    for folder, pages in made.items():
        names = "".join(f'"{folder}/{name}", ' for name in pages if name != "index.md")
        config = re.sub(rf'"{folder}/index.md",.*', f'"{folder}/index.md", {names.strip()}', config)
    return config


if __name__ == "__main__":
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "build").absolute()
    print(f"open {build(where) / 'index.html'}")
