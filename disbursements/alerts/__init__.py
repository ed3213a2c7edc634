"""Tells staff what needs them, by e-mail and webhook: once when it begins, once when it is over."""
