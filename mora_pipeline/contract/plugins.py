"""Objects that other packages may add to: each has a name and is imported when it is first asked for."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from mora_pipeline.contract.errors import UserError

Plugin = TypeVar("Plugin")


class Plugins(Generic[Plugin]):
    """The objects of one sort by name: built in, of other packages by an entry point, or registered in this process.

    Args:
        sort: what one of them is called in messages.
        group: of the entry points of other packages.
        built_in: ``module:object`` by name.
    """

    def __init__(self, sort: str, group: str, built_in: Mapping[str, str]) -> None:
        self.sort, self.group = sort, group
        self._points = {name: EntryPoint(name, value, group) for name, value in built_in.items()}
        self._registered: dict[str, Plugin] = {}

    def register(self, name: str, plugin: Plugin) -> None:
        """Add one for this process; an entry point adds it for all.

        Raises:
            ValueError: if the name is taken.
        """
        if name in self.names():
            raise ValueError(f"There is a {self.sort} '{name}' already.")
        self._registered[name] = plugin

    def unregister(self, name: str) -> None:
        """Take back what `register` added."""
        del self._registered[name]

    def names(self) -> list[str]:
        """All names, the built-in ones first; nothing is imported."""
        return [*self._all_points(), *self._registered]

    def __getitem__(self, name: str) -> Plugin:
        """The one of that name.

        Raises:
            KeyError: if there is none.
            UserError: if it is of another package and cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        point = self._all_points()[name]
        try:
            plugin: Plugin = point.load()
        except Exception as error:  # whatever the other package raises
            if point.dist is None:  # built in
                raise
            raise UserError(
                f"The {self.sort} '{name}' of the installed package {point.dist.name} {point.dist.version} "
                f"(entry point {point.value}) cannot be imported: {type(error).__name__}: {error}. "
                "Repair that package or uninstall it."
            ) from error
        return plugin

    def all(self) -> dict[str, Plugin]:
        """All of them by name, the built-in ones first."""
        return {name: self[name] for name in self.names()}

    def _all_points(self) -> dict[str, EntryPoint]:
        points = dict(self._points)
        for point in _installed(self.group, tuple(sys.path)):
            if points.setdefault(point.name, point).value != point.value:
                raise ValueError(
                    f"Two packages have a {self.sort} '{point.name}': {points[point.name].value}, {point.value}."
                )
        return points


@cache
def _installed(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """The entry points of a group; finding them opens a file of every package on the path."""
    return list(entry_points(group=group))
