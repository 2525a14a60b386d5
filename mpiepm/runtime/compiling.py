"""The heartbeat while numba compiles, which may take a minute for one function."""

from numba.core.event import Event, Listener

from mpiepm.core import heartbeat

EVENT = "numba:run_pass"  # one pass of the compiler over one function


class Passes(Listener):  # type: ignore[misc]
    """A beat at the beginning and the end of every pass; for `numba.core.event.install_listener`."""

    def on_start(self, event: Event) -> None:
        """A pass begins."""
        heartbeat.own.compiling += 1
        heartbeat.beat()

    def on_end(self, event: Event) -> None:
        """A pass has ended."""
        heartbeat.own.compiling -= 1
        heartbeat.beat()
