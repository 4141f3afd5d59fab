"""Fixtures about time and processes, for all tests."""

pytest_plugins = ("extras", "limits", "signatures", "forks")
