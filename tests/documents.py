"""How the test of the documents reads Markdown: fenced blocks, commands, links and headings.

Fenced blocks say by their first words what they are, and so how they are checked:
    ```toml                      any TOML: has to parse
    ```toml gateway              a whole gateway.toml: has to load
    ```toml gateway-part         stanzas to add to deploy/example/gateway.toml: both together have to load
    ```toml profile /etc/x.toml  a device profile, known to the document's gateway-parts by this path
    ```json                      has to parse
    ```console                   lines that begin with "$ " are commands; the rest is output
    ```sh                        every line is a command
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+(?:\([^()]*\))?[^()\s]*)(?:\s+\"[^\"]*\")?\)")
HTML_LINK = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=\"(?P<target>[^\"]+)\"")
INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.M)
OURS = re.compile(r"^(\./run|shouwang-(edge|collector|sim)|(\S*/)?python3?\s+(-m\s+bench|bench/))\b")


@dataclass(frozen=True)
class Block:
    """One fenced block: the words after the fence, its text, and the line it starts at."""

    info: tuple[str, ...]
    text: str
    line: int


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks of a document, without their indentation."""
    for match in FENCE.finditer(markdown):
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.M)
        yield Block(tuple(match["info"].split()), body, markdown.count("\n", 0, match.start()) + 1)


def prose(markdown: str) -> str:
    """The document with its fenced blocks blanked; lines keep their numbers."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), markdown)


def commands(markdown: str) -> Iterator[tuple[int, list[str]]]:
    """(line, words) of every command of ours, in blocks and between backquotes."""
    for block in blocks(markdown):
        if block.info[:1] in (("console",), ("sh",), ("bash",), ("shell",)):
            prompt = "$ " if block.info[0] == "console" else ""
            yield from _in_lines(block, prompt)
    text = prose(markdown)
    for match in INLINE.finditer(text):
        yield from _split(match["code"], text.count("\n", 0, match.start()) + 1)


def _in_lines(block: Block, prompt: str) -> Iterator[tuple[int, list[str]]]:
    whole = block.text.replace("\\\n", "")
    for number, line in enumerate(whole.splitlines(), block.line + 1):
        if line.startswith(prompt):
            yield from _split(line.removeprefix(prompt).partition(" #")[0], number)


def _split(line: str, number: int) -> Iterator[tuple[int, list[str]]]:
    # A single | separates choices ("run|check"); one with spaces around it is a pipe.
    for part in re.split(r"&&|;|\s\|\s|\s&(?:\s|$)|\s>\s*\S+", line):
        words = re.sub(r"^(sudo\s+|[A-Z_]+=\S+\s+)*", "", part.strip())
        if OURS.match(words):
            yield number, shlex.split(words)


def links(markdown: str) -> Iterator[tuple[int, str]]:
    """(line, target) of every link and picture."""
    text = INLINE.sub("", prose(markdown))
    for pattern in (LINK, HTML_LINK):
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match["target"]


def anchors(markdown: str) -> set[str]:
    """What a link may name after #: each heading in small letters, spaces as hyphens, punctuation gone."""
    found: set[str] = set()
    for match in HEADING.finditer(prose(markdown)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"])
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
        found.add(f"{slug}-{number}" if number else slug)
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", markdown))
