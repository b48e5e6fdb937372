"""Benchmarks: whole processes, timed and weighed. Never part of the tests."""
