"""A driver of the Chaos Toolkit, as small as one can be."""
