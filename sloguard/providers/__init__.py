"""How an activity is called: python, process, http; and whether what it gave is within tolerance."""
