"""What stands where a driver would."""
