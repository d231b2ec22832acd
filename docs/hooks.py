"""Hooks of MkDocs: pages that lie elsewhere in the repository, links to its files, equations as MathML."""

import html
import posixpath
import re
from pathlib import Path
from typing import Any

import latex2mathml.converter

ROOT = Path(__file__).parent.parent
PAGES_ELSEWHERE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/accuracy.png",
    "infra/README.md",
    "infra/containers.md",
    "infra/kubernetes/README.md",
    "infra/slurm/README.md",
)
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of `PAGES_ELSEWHERE` under their paths in the repository."""
    from mkdocs.structure.files import File  # noqa: PLC0415

    for path in PAGES_ELSEWHERE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite relative links: in the repository they lead from file to file, in the site from page to page.

    A link to a file that is no page leads to the repository at `repo_url`; without `repo_url` it becomes plain text.
    """
    path = page.file.src_uri
    source = path if path in PAGES_ELSEWHERE else f"docs/{path}"

    def rewrite(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
        in_site = target.removeprefix("docs/")
        if files.get_file_from_path(in_site):
            target = posixpath.relpath(in_site, posixpath.dirname(path) or ".")
            return f"[{link['text']}]({target}{link['anchor'] or ''})"
        if not (ROOT / target).exists():
            return link[0]  # MkDocs warns of it
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return (
            f"[{link['text']}]({config.repo_url}/{kind}/main/{target})" if config.repo_url else link["text"]
        )

    return LINK.sub(rewrite, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turn equations into MathML, which browsers show without a script."""

    def to_mathml(match: re.Match[str]) -> str:
        display = "inline" if match[2] == "(" else "block"
        mathml = latex2mathml.converter.convert(html.unescape(match[3]).strip(), display=display)
        return mathml.replace("<mo>&#x02016;", '<mo stretchy="false" lspace="0" rspace="0">&#x02016;')

    return EQUATION.sub(to_mathml, content)
