"""Ctrl-C and SIGTERM: the first ends the command, what follows at once does not disturb that."""

import os
import signal

import pytest

from lexiseg.cli import app, main
from lexiseg.cli.terminal import signals
from lexiseg.cli.terminal.signals import SignalHandlers


@pytest.fixture(autouse=True)
def _not_ignored() -> None:
    """Let Ctrl-C arrive, also where the tests run in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [100.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_and_the_next_is_ignored_for_two_seconds(
    now: list[float], number: signal.Signals, code: int
) -> None:
    handlers = SignalHandlers()
    handlers.install()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert handlers.exit_code == code
    now[0] += 1.9
    os.kill(os.getpid(), signal.SIGINT)
    assert handlers.exit_code == code
    now[0] += 0.2
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    SignalHandlers().install()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_a_signal_that_comes_while_the_handlers_are_installed_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install = SignalHandlers.install

    def interrupted(handlers: SignalHandlers) -> None:
        install(handlers)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SignalHandlers, "install", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 143
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_command_line_is_read_ends_in_order(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    def parse(*_: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(app._Commands, "parse_args", parse)
    monkeypatch.setattr("sys.argv", ["lexiseg", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_command_is_done_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def done(handlers: SignalHandlers) -> int:
        os.kill(os.getpid(), number)
        return 0

    monkeypatch.setattr(app, "run", done)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == "Interrupted.\n"


def test_nothing_disturbs_the_end() -> None:
    handlers = SignalHandlers()
    handlers.install()
    handlers.ignore()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_error_of_a_library_after_a_signal_is_the_signal(
    interrupted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = SignalHandlers()
    handlers.install()

    def serializes(standalone_mode: bool) -> int:
        try:
            if interrupted:
                os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            # As pydantic does where the signal comes in a function that it calls.
            raise ValueError("Error calling function: KeyboardInterrupt: ") from None
        raise ValueError("a defect")

    monkeypatch.setattr(app, "app", serializes)
    monkeypatch.setattr(app, "ignore_closed_pipes", lambda: None)
    monkeypatch.setattr(app, "hide_thread_failures", lambda: None)
    if not interrupted:
        with pytest.raises(ValueError, match="a defect"):
            app.run(handlers)
        return
    assert app.run(handlers) == 143
    assert "Interrupted." in capsys.readouterr().err
