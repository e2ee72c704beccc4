"""This machine's processes: who they are, whom a signal may reach, which of them a run has started."""
