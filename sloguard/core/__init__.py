"""The pure heart: samples in, verdict out. Standard library and numpy only; no clock, no I/O."""
