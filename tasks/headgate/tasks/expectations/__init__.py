"""Expectations of data: suites as Great Expectations writes them, judged by it, and reports of what it found."""
