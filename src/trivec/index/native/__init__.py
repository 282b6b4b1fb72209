"""The store of a library on one machine, in our own files: see `trivec.index.native.store`."""
