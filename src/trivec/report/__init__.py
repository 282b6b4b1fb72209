"""HTML reports: one file that needs nothing else, readable on dark and light screens. One kind of figure a file."""
