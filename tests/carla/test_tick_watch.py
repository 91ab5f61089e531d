"""A tick that stands still is woken; one that ends in time is left alone."""

import threading
import time

from sim_adapters.carla.tick_watch import TickWatch


class SleepingManager:
    """Ends its tick once its synchronous mode is switched off, as CARLA's does."""

    def __init__(self) -> None:
        self.modes: list[bool] = []
        self.woken = threading.Event()

    def set_synchronous_mode(self, mode_switch: bool) -> None:
        self.modes.append(mode_switch)
        if not mode_switch:
            self.woken.set()


def test_a_tick_that_stands_still_is_woken_and_stays_synchronous() -> None:
    manager = SleepingManager()
    watch = TickWatch(manager, stall_s=0.2)
    with watch.ticking():
        assert manager.woken.wait(10.0)
    time.sleep(0.1)
    watch.end()
    assert manager.modes == [False, True]


def test_ticks_in_time_and_pauses_between_them_are_left_alone() -> None:
    manager = SleepingManager()
    watch = TickWatch(manager, stall_s=2.0)
    for _ in range(20):
        with watch.ticking():
            time.sleep(0.01)
    time.sleep(2.7)
    watch.end()
    assert manager.modes == []
