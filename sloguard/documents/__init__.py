"""Reading what people write: YAML and JSON into trees that know the place of every key and value."""
