"""`convai talk` as a process of its own, as a user starts it."""

from support.convai_process import ConvaiProcess


class TalkProcess(ConvaiProcess):
    """Runs from `with` to its end. `url` is the page's address, `lines` what it has printed."""

    ready_lines = ("ready", "waiting for the server")  # the page is there, with or without a server behind

    def __init__(self, *options, environment=None):
        super().__init__("talk", "--port=0", *options, environment=environment)

    @property
    def url(self):
        return self.printed("page")

    @property
    def wyoming_port(self):
        return int(self.printed("Wyoming").rpartition(":")[2])
