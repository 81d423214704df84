"""Ports that stay the same from start to start."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mltemporal.errors import StackError
from mltemporal.settings import Settings, load_settings
from mltemporal.stack.ports import Ports, check_fixed_ports, choose_ports, is_taken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"MLTEMPORAL_HOME": str(tmp_path)})


def test_the_same_ports_are_chosen_again(settings: Settings, tmp_path: Path) -> None:
    first = choose_ports(settings, tmp_path / "ports.json")
    assert first == choose_ports(settings, tmp_path / "ports.json")
    assert first.temporal != first.web


def test_the_same_ports_are_chosen_even_when_the_note_is_damaged(settings: Settings, tmp_path: Path) -> None:
    first = choose_ports(settings, tmp_path / "ports.json")
    (tmp_path / "ports.json").write_text("{")
    assert first == choose_ports(settings, tmp_path / "ports.json")


def test_two_homes_get_different_ports(settings: Settings, tmp_path: Path) -> None:
    other = replace(settings, home=tmp_path / "other")
    assert choose_ports(settings, tmp_path / "a.json") != choose_ports(other, tmp_path / "b.json")


def test_a_port_that_somebody_took_is_replaced_and_the_other_stays(
    settings: Settings, tmp_path: Path
) -> None:
    first = choose_ports(settings, tmp_path / "ports.json")
    with socket.create_server(("127.0.0.1", first.web)):
        assert is_taken(first.web)
        second = choose_ports(settings, tmp_path / "ports.json")
    assert first.temporal == second.temporal
    assert first.web != second.web


def test_a_fixed_port_is_taken_as_it_is(settings: Settings, tmp_path: Path) -> None:
    free = choose_ports(settings, tmp_path / "ports.json")
    fixed = replace(settings, temporal_port=free.web)
    chosen = choose_ports(fixed, tmp_path / "ports.json")
    assert free.web == chosen.temporal
    assert chosen.web != chosen.temporal


def test_a_listener_on_every_address_counts(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert is_taken(server.getsockname()[1])


def test_a_running_stack_at_another_port_than_the_fixed_one_is_refused(settings: Settings) -> None:
    ports = Ports(temporal=20_001, web=20_002)
    with pytest.raises(StackError) as caught:
        check_fixed_ports(
            replace(settings, web_port=8233),
            temporal_address=f"127.0.0.1:{ports.temporal}",
            web_ui=f"http://127.0.0.1:{ports.web}",
            home="/home/me",
        )
    assert (
        "MLTEMPORAL_WEB_PORT is 8233, but the running stack of '/home/me' listens at http://127.0.0.1:20002\n"
        "Next step: run `mltemporal down && mltemporal up`, or unset MLTEMPORAL_WEB_PORT"
    ) == str(caught.value)
