"""The commands of `lockgate`, one per file. Each has `add`, which declares its options, and `run`."""
