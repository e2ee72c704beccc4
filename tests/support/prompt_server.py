"""An HTTP server that sleeps until somebody comes, and ends at once."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import ThreadingHTTPServer


class PromptServer(ThreadingHTTPServer):
    """As its base, which has to look many times a second whether it is to end; this one is woken for it."""

    daemon_threads = True

    def begin(self) -> threading.Thread:
        """Serve in a thread from now on."""
        thread = threading.Thread(target=self.serve_forever, args=(60.0,), daemon=True)
        thread.start()
        return thread

    def shutdown(self) -> None:
        """End the loop of ``serve_forever``; done when it has ended."""
        # The names that the base class has for them; it looks at the first after every wake.
        self._BaseServer__shutdown_request = True
        with contextlib.suppress(OSError):
            socket.create_connection(self.server_address[:2], timeout=5).close()
        self._BaseServer__is_shut_down.wait()  # type: ignore[attr-defined]
