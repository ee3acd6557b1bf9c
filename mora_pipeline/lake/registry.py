"""Which regions this home knows: the name of each, and the path of its `region.yaml`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import locked, replace_file
from mora_pipeline.contract.home import mora_home
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.lake.home import opened
from mora_pipeline.lake.relocation import REGISTRY, inside

if TYPE_CHECKING:
    from mora_pipeline.region import RegionConfig


class Registry:
    """The regions of one home, in ``regions.json`` as {region: path of region.yaml}; one inside it is relative."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / REGISTRY

    @classmethod
    def at_home(cls) -> "Registry":
        return cls(opened(mora_home()))

    def add(self, region_yaml: Path, replace: bool = False) -> "RegionConfig":
        """Check a `region.yaml` and the files it names, and remember it; adding it again changes nothing.

        Args:
            region_yaml: the file, or the folder that holds it.
            replace: take this file even if the region is known from another one.

        Raises:
            UserError: if the file or one it names is wrong, or another existing file has the region's name.
        """
        from mora_pipeline.region import RegionConfig
        from mora_pipeline.region.checks import check_files

        config = RegionConfig.load(region_yaml.expanduser().resolve())
        check_files(config)
        self.remember(config, replace)
        return config

    def remember(self, config: "RegionConfig", replace: bool = False) -> None:
        """As `add`, of a region whose files were checked.

        Raises:
            UserError: if another existing file has the region's name.
        """
        opened(self.home, create=True)
        path = config.file.resolve()
        with locked(self.path.with_suffix(".lock")):
            known = self.all()
            other = known.get(config.region, path)
            if other != path and other.exists() and not replace:
                raise UserError(
                    f"{path}: region '{config.region}' is already known from {other}. Give one of them another name "
                    f"(region: ...), or replace the old one: mora region add {path} --replace"
                )
            self._write(known | {config.region: path})

    def all(self) -> dict[str, Path]:
        """Every known region and the absolute path of its `region.yaml`, by name.

        Raises:
            UserError: if ``regions.json`` cannot be read.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {str(name): self.home / path for name, path in sorted(content.items())}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise UserError(
                f"{self.path} cannot be read ({error}). Move it away and add the regions again: mora region add PATH"
            ) from error

    def path_of(self, region: str) -> Path:
        """The path of the region's `region.yaml`.

        Raises:
            UserError: if the region is not known.
        """
        known = self.all()
        if region not in known:
            raise UserError(
                f"Region '{region}' is not known; known are {', '.join(known) or 'none'}."
                f"{did_you_mean(region, known)} Add it: mora region add PATH_OF_REGION_YAML"
            )
        return known[region]

    def load(self, region: str) -> "RegionConfig":
        """The settings of a region, read anew.

        Raises:
            UserError: if the region is not known, its file is gone or wrong, or names another region by now.
        """
        from mora_pipeline.region import RegionConfig

        path = self.path_of(region)
        config = RegionConfig.load(path)
        if config.region != region:
            raise UserError(
                f"{path}: region is '{config.region}' by now, but this home knows the file as '{region}'. "
                f"Change it back, or add it under its new name: mora region add {path}"
            )
        return config

    def remove(self, region: str) -> None:
        """Forget a region; its files and what was made from them stay.

        Raises:
            UserError: if the region is not known.
        """
        with locked(self.path.with_suffix(".lock")):
            self.path_of(region)
            self._write({name: path for name, path in self.all().items() if name != region})

    def _write(self, regions: dict[str, Path]) -> None:
        replace_file(
            self.path, json.dumps({name: inside(self.home, regions[name]) for name in sorted(regions)}, indent=2)
        )
