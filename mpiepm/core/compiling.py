"""Signs of life of numba's compiler, which may work on one function for a minute."""

from numba.core.event import Event, Listener

from mpiepm.core import alive

EVENT = "numba:run_pass"  # one pass of the compiler over one function


class Passes(Listener):  # type: ignore[misc]
    """Takes the beginning and the end of every pass for a sign of life; for `numba.core.event.install_listener`."""

    def on_start(self, event: Event) -> None:
        """A pass begins."""
        alive.signs.compiling += 1
        alive.got_on()

    def on_end(self, event: Event) -> None:
        """A pass has ended."""
        alive.signs.compiling -= 1
        alive.got_on()
