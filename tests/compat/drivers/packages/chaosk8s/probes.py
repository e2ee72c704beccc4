"""Says that all is well."""


def all_microservices_healthy(ns: str = "default", secrets: dict | None = None) -> bool:
    """As the driver's."""
    return True
