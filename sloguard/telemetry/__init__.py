"""What sloguard's processes tell of themselves: logs, and traces where somebody wants them."""
