"""Map tiles in a folder, a file each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mora_pipeline.modalities.image.tiles import Place
from mora_pipeline.raw.roots import Bounds


@dataclass(frozen=True)
class FolderTiles:
    """A file a tile. The template has {z}, {x} and {y}, or {-y} for rows from the south (TMS), or {q}, a quadkey."""

    template: str
    zoom: int

    def file(self, x: int, y: int) -> Path:
        """Where the tile in column x and row y is stored."""
        parts = {"z": self.zoom, "x": x, "y": y, "-y": (1 << self.zoom) - 1 - y, "q": self._quadkey(x, y)}
        return Path(re.sub(r"\{(z|x|y|-y|q)\}", lambda part: str(parts[part[1]]), self.template))

    def data(self, x: int, y: int) -> bytes | None:
        return self._bytes(x, y, -1)

    def start(self, x: int, y: int) -> bytes | None:
        return self._bytes(x, y, 16)

    def has(self, x: int, y: int) -> bool:
        return self.file(x, y).is_file()

    def name(self, x: int, y: int) -> str:
        return str(self.file(x, y))

    def first(self) -> tuple[int, int] | None:
        for file in self._candidates():
            if match := self._pattern().fullmatch(str(file)):
                return self._place(match.groupdict())
        return None

    def mistaken(self) -> Iterator[tuple[Place, str]]:
        highest = (1 << self.zoom) - 1
        if "{-y}" in self.template:
            yield lambda x, y: (x, highest - y), "the tiles are counted from the north: write {y} in place of {-y}"
        elif "{y}" in self.template:
            yield lambda x, y: (x, highest - y), "the tiles are counted from the south: write {-y} in place of {y}"
            yield lambda x, y: (y, x), "columns and rows are the other way round: swap {x} and {y}"

    def _bytes(self, x: int, y: int, number: int) -> bytes | None:
        file = self.file(x, y)
        if not file.is_file():  # nothing, or a pipe, which would be waited for
            return None
        if self._bounds.roots is not None:
            self._bounds.check(str(file.resolve()))
        try:
            with file.open("rb") as stream:
                return stream.read(number)
        except FileNotFoundError:
            return None

    @cached_property
    def _bounds(self) -> Bounds:
        return Bounds.of(Path(self.template.partition("{")[0]).parent, f"tiles are in '{self.template}', ")

    def _quadkey(self, x: int, y: int) -> str:
        bits = range(self.zoom - 1, -1, -1)
        return "".join(str((x >> bit & 1) + 2 * (y >> bit & 1)) for bit in bits)

    def _candidates(self) -> Iterator[Path]:
        """Files that may be a tile of the zoom; nothing in the fixed beginning of the template is a pattern."""
        fixed, _, variable = self.template.replace("{z}", str(self.zoom)).partition("{")
        folder, _, beginning = fixed.rpartition("/")
        if variable and Path(folder or "/").is_dir():
            pattern = re.sub(r"\{(x|y|-y|q)\}", "*", f"{beginning}{{{variable}")
            yield from Path(folder or "/").glob(pattern)

    def _pattern(self) -> re.Pattern[str]:
        forms = {"x": r"(?P<x>\d+)", "y": r"(?P<y>\d+)", "-y": r"(?P<south>\d+)", "q": rf"(?P<q>[0-3]{{{self.zoom}}})"}
        seen: set[str] = set()

        def form(part: str) -> str:
            name = part[1:-1]
            if part[:1] != "{" or name not in forms:
                return re.escape(part)
            first = name not in seen
            seen.add(name)
            return forms[name] if first else r"\d+"

        parts = re.split(r"(\{(?:x|y|-y|q)\})", self.template.replace("{z}", str(self.zoom)))
        return re.compile("".join(map(form, parts)))

    def _place(self, parts: dict[str, str]) -> tuple[int, int]:
        if "q" in parts:
            digits = [int(digit) for digit in parts["q"]]
            columns = "".join(str(digit & 1) for digit in digits)
            rows = "".join(str(digit >> 1) for digit in digits)
            return int(columns or "0", 2), int(rows or "0", 2)
        y = int(parts["y"]) if "y" in parts else (1 << self.zoom) - 1 - int(parts["south"])
        return int(parts["x"]), y
