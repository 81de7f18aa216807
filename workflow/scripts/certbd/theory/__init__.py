"""Pure functions of numbers, each citing its section of ``docs/theory.md``.

They need numpy and scipy, never torch, and read no file.
"""
