"""HTTP as uvicorn speaks it, with a limit on heads and trailers, which its parser collects without one."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Hangs up where `MAX_HEAD_BYTES` came, beside what the first reading brought, and nothing was whole."""

    _idle_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        self._idle_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._idle_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)
