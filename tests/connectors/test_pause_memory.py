"""A pause that an outside system asked for does not end with the process that was told."""

from connectors.pacing import Paces


class Memory:
    """Remembers what it is told."""

    def __init__(self, **left: float) -> None:
        self.known = left

    def left(self, identity: str) -> float:
        """Return what is left."""
        return self.known.get(identity, 0.0)

    def told(self, identity: str, seconds: float) -> None:
        """Take a pause."""
        self.known[identity] = seconds


def test_a_pause_that_an_earlier_process_was_told_goes_on() -> None:
    """For whoever shares the identity, and for nobody else."""
    paces = Paces(Memory(numora=40.0))

    assert 39 < paces.of("numora").pause_left <= 40
    assert paces.of("dataverse").pause_left == 0.0


def test_a_pause_is_remembered_when_it_is_told() -> None:
    """Unless a longer one is known already, or it is none at all."""
    memory = Memory()
    pace = Paces(memory).of("numora")

    pace.pause(0)
    assert memory.known == {}
    pace.pause(40)
    pace.pause(5)
    assert memory.known == {"numora": 40}
