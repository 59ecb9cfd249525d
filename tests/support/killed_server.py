"""A server for tests whose subject is not how it stops."""

from convai.backends.management.launcher import Server


class KilledServer(Server):
    """A server that the end of `with` kills, because an orderly stop takes seconds."""

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.stop()
