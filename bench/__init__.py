"""Measures the product against a sandbox with set latencies: `script/bench`. Not part of either."""
