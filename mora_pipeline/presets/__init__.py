"""Ways to make embeddings. Each is one object, an `interface.Preset`, in a package of its own.

Presets of other packages are named by an entry point of the group `mora_pipeline.presets`, or given to `register`.
"""

from mora_pipeline.presets.interface import EncodedRegion, Preset, Training
from mora_pipeline.presets.registry import register, unregister

__all__ = ["EncodedRegion", "Preset", "Training", "register", "unregister"]
