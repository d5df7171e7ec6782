"""A Dockerfile, read and carried out on a root file system: as much of both as the project's own one needs.

What is not known raises ValueError, so that nothing is silently left out.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from tests.support.rootfs import Root, pairs

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_CACHE: Final = re.compile(r"--mount=type=cache,target=(\S+)\s+")


@dataclass(frozen=True, slots=True)
class Instruction:
    keyword: str
    rest: str


@dataclass(slots=True)
class Image:
    """What a stage made: its files, and how it is started."""

    root: Root
    environ: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin"}
    )
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    stop_signal: str = ""
    exposed: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


def instructions(text: str) -> list[Instruction]:
    """The instructions in order, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    split = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [Instruction(keyword.upper(), rest.strip()) for keyword, _, rest in split]


def ignored(text: str, path: str) -> bool:
    """Whether the text of a .dockerignore leaves out a path of the build context.

    The last pattern that fits the path, or a folder above it, decides.
    """
    out = False
    parents = ["/".join(path.split("/")[: end + 1]) for end in range(path.count("/") + 1)]
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.startswith("#"):
            continue
        pattern = line.removeprefix("!").strip("/")
        anywhere = pattern.startswith("**/")
        pattern = pattern.removeprefix("**/")
        for parent in parents:
            name = parent.rpartition("/")[2] if anywhere else parent
            # A star ends at a slash.
            if fnmatchcase(name, pattern) and name.count("/") == pattern.count("/"):
                out = not line.startswith("!")
    return out


def context(root: Path, where: Path) -> Path:
    """A copy of what of the project goes into the build context."""
    rules = (root / ".dockerignore").read_text()
    for path in _candidates(root):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not ignored(rules, name):
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, where / name)
    return where


def _candidates(root: Path) -> Iterator[Path]:
    """The project's files; hidden folders are large, and no pattern lets one in."""
    for path in root.iterdir():
        if path.is_file():
            yield path
        elif not path.name.startswith("."):
            yield from path.rglob("*")


class Build:
    """One run through a Dockerfile; `base` stands for every image that a stage begins with."""

    def __init__(self, text: str, base: Root, files: Path, scratch: Path, environ: Mapping[str, str]) -> None:
        """`files` is the build context; `environ` comes on top in RUN, for the way to a package index."""
        self._instructions = instructions(text)
        self._base = base
        self._files = files
        self._scratch = scratch
        self._environ = dict(environ)
        self._stages: dict[str, Image] = {}
        self._global: dict[str, str] = {}
        self._arguments: dict[str, str] = {}
        self.bases: list[str] = []

    def run(self) -> Image:
        """Carry out all stages; the image of the last one."""
        image: Image | None = None
        for each in self._instructions:
            if each.keyword == "FROM":
                image = self._from(each.rest)
            elif image is None:
                self._declare(each.rest, self._global)
            else:
                self._step(image, each)
        if image is None:
            raise ValueError("no FROM")
        return image

    def _from(self, rest: str) -> Image:
        source, _, name = self._filled(rest, self._global).partition(" AS ")
        self.bases.append(source)
        self._arguments = {}
        stage = self._stages[name] = Image(self._base.copy(self._scratch / f"stage-{len(self._stages)}"))
        return stage

    def _declare(self, rest: str, known: dict[str, str]) -> None:
        name, given, default = rest.partition("=")
        known[name] = default if given else self._global[name]

    def _step(self, image: Image, each: Instruction) -> None:
        rest = self._filled(each.rest, {**self._arguments, **image.environ})
        match each.keyword:
            case "ARG":
                self._declare(each.rest, self._arguments)
            case "COPY":
                self._copy(image, rest)
            case "RUN":
                self._run(image, each.rest)
            case "WORKDIR":
                image.workdir = rest
                (image.root.path / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case _:
                _describe(image, each.keyword, rest)

    def _copy(self, image: Image, rest: str) -> None:
        *sources, target = rest.split()
        origin = self._files
        if sources[0].startswith("--from="):
            origin = self._stages[sources.pop(0).removeprefix("--from=")].root.path
        into = target.endswith("/") or len(sources) > 1
        absolute = target if target.startswith("/") else f"{image.workdir}/{target}"
        place = image.root.path / absolute.lstrip("/")
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True) if into else None
                shutil.copy2(path, place / path.name if into else place)

    def _run(self, image: Image, rest: str) -> None:
        root = image.root
        while cache := _CACHE.match(rest):
            kept = self._scratch / "cache" / cache[1].replace("/", "_")
            kept.mkdir(parents=True, exist_ok=True)
            root, rest = root.bound(kept, cache[1], writable=True), rest[cache.end() :]
        if rest.startswith(("--", "[")):
            raise ValueError(f"unknown form of RUN: {rest}")
        environ = {**self._arguments, **image.environ, **self._environ, "HOME": "/root"}
        command = ["env", "-i", *pairs(environ), "sh", "-c", f"cd {image.workdir} && {rest}"]
        root.run(*command)

    @staticmethod
    def _filled(text: str, known: Mapping[str, str]) -> str:
        return _VARIABLE.sub(lambda found: known.get(found[1], ""), text)


def described(text: str, root: Root) -> Image:
    """How the last stage says it is started, for a root that was made otherwise."""
    image = Image(root)
    stages = "".join(f"{each.keyword} {each.rest}\n" for each in instructions(text)).split("FROM ")
    for each in instructions(stages[-1])[1:]:
        if each.keyword not in {"ARG", "COPY", "RUN", "WORKDIR"}:
            _describe(image, each.keyword, each.rest)
    return image


def _describe(image: Image, keyword: str, rest: str) -> None:
    """What an instruction says of how the image is started."""
    match keyword:
        case "ENV":
            image.environ |= _assignments(rest)
        case "LABEL":
            image.labels |= _assignments(rest)
        case "USER":
            image.user = rest
        case "EXPOSE":
            image.exposed = tuple(rest.split())
        case "STOPSIGNAL":
            image.stop_signal = rest
        case "HEALTHCHECK":
            image.healthcheck = _exec_form(rest.partition("CMD ")[2])
        case "ENTRYPOINT":
            image.entrypoint = _exec_form(rest)
        case "CMD":
            image.command = _exec_form(rest)
        case _:
            raise ValueError(f"unknown instruction: {keyword}")


def _assignments(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in re.findall(r'([\w.]+)=("[^"]*"|\S+)', text)}


def _exec_form(text: str) -> tuple[str, ...]:
    try:
        return tuple(json.loads(text))
    except ValueError:
        raise ValueError(f"not in exec form: {text}") from None
