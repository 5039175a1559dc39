"""Benchmarks: `python -m benches.run` compares tickwire with its rivals, `test_floors.py` asserts floors."""
