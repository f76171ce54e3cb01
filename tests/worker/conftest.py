"""Fixtures of the worker's tests."""
from udmtest.queue import make_certificate, queue  # noqa: F401
