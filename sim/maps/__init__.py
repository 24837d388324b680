"""Maps: built-in parametric ones, maps read from files, and drawings of both."""

from sim.maps.builtin import BUILTIN_MAPS, MapSource, build

__all__ = ["BUILTIN_MAPS", "MapSource", "build"]
