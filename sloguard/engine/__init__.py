"""The run itself: before, method, rollbacks, after, as a generator of events that always undoes."""
