"""Routes, one dialect a file. A route reads a request, asks the `Service`, and writes the answer down."""
