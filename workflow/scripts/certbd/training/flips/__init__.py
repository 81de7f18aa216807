"""Features and labels kept or replaced at random. ``docs/theory.md``, section 6."""
