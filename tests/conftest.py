"""What holds for every test: no limits on elapsed time, and a plain list at the end of what was left out, and why."""

from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="fail when a test had to be left out")


def _left_out(config: pytest.Config) -> Counter[str]:
    """Count the tests that did not run by the reason that they gave."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")
        for report in reports
    )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--complete") and exitstatus == pytest.ExitCode.OK and _left_out(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _counted(config: pytest.Config) -> list[str]:
    """Return what tests counted, as they told it under the property ``counted``."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("passed", []) if reporter else []
    return [str(told) for report in reports for name, told in report.user_properties if name == "counted"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counted = _counted(config)
    if counted:
        terminalreporter.section("counted")
        for line in sorted(counted):
            terminalreporter.write_line(line)
    left_out = _left_out(config)
    terminalreporter.section("left out on this machine")
    for reason, count in left_out.most_common():
        terminalreporter.write_line(f"{count} test{'s' if count > 1 else ''}: {reason}")
    if not left_out:
        terminalreporter.write_line("nothing")
    elif config.getoption("--complete"):
        terminalreporter.write_line("--complete was asked for, so this run has failed", red=True)
