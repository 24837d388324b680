"""Hardware abstraction layer: vehicle interface, vehicle files, limits and backends."""
