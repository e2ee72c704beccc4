"""Must not be called."""


def add_abort_fault(
    virtual_service_name,
    http_status,
    routes,
    percentage=None,
    ns="default",
    version=None,
    configuration=None,
    secrets=None,
):
    """As the driver's."""
    raise AssertionError("it was called")


remove_abort_fault = add_abort_fault
