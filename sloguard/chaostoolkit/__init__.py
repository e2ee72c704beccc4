"""sloguard beside ``chaos run``: its judgement inside the Chaos Toolkit, whose own runner breaks things."""
