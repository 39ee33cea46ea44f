"""Would log a metric."""
