"""People told: one file a vendor, each a ``ports.outbox.Channel`` over the notices of ``service.notices``."""
