import json
import struct

import pytest

from mltemporal.notebook.panel import Panel
from mltemporal.notebook.picture import Picture
from mltemporal.specs.running import JobStatus


class Told(Panel):
    """A panel that keeps what it sends."""

    def send(self, content, buffers=None):
        self.sent = [*getattr(self, "sent", []), (content, [bytes(buffer) for buffer in buffers or []])]


@pytest.fixture
def panel(view_of):
    commands = []
    made = Told(Picture(view_of(status=JobStatus.STARTING)), commands.append)
    made.commands = commands
    return made


def triples(data):
    return list(struct.iter_unpack("ddd", data))


def test_only_what_changed_is_sent(panel, view_of, falling):
    panel.show(view_of(points=falling[:3]))
    panel.show(view_of(points=falling[3:]))

    (first, _), (second, [data]) = panel.sent
    assert "running" == first["state"]["status"]
    assert {"step", "rate", "eta_at"} >= set(second["state"])
    assert [["train_loss", 1, 2]] == second["series"]
    assert [3.0, 4.0] == [step for _, step, _ in triples(data)]
    assert len(json.dumps(second)) < 300


def test_nothing_is_sent_when_nothing_changed(panel, view_of):
    panel.show(view_of())
    panel.show(view_of())

    assert 1 == len(panel.sent)


def test_messages_are_numbered_without_a_hole(panel, view_of, falling):
    for point in falling:
        panel.show(view_of(points=[point]))

    assert [1, 2, 3, 4, 5] == [content["seq"] for content, _ in panel.sent]


def test_the_state_that_a_reloaded_page_asks_for_has_all_points(panel, view_of, falling):
    panel.show(view_of(points=falling))

    snapshot = panel.get_state()["snapshot"]

    assert (1, "running") == (snapshot["seq"], snapshot["state"]["status"])
    assert [["train_loss", 1, 5]] == snapshot["series"]
    assert 5 == len(triples(snapshot["data"]))


def test_a_resync_sends_everything_under_the_current_number(panel, view_of, falling):
    panel.show(view_of(points=falling))

    panel._heard(panel, {"t": "resync"}, [])

    content, [data] = panel.sent[-1]
    assert ("snapshot", 1) == (content["t"], content["seq"])
    assert 5 == len(triples(data))


def test_buttons_give_known_commands_only(panel):
    for name in ("cancel", "pause", "resume", "retry", "__del__", None):
        panel._heard(panel, {"t": "command", "name": name}, [])

    assert ["cancel", "pause", "resume"] == panel.commands


def test_every_message_is_json(panel, view_of):
    panel.show(view_of(status=JobStatus.SUCCEEDED, metrics={"r2": float("nan")}))

    assert "NaN" not in json.dumps(panel.sent[-1][0])
