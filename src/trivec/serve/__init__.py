"""Serving: encoders, rerankers and libraries over HTTP, in the dialects of several services.

    app.py         puts the parts together                routes/    one dialect a file; each route is a few lines
    batcher.py     joins requests to batches, in lanes    schemas/   what comes in and goes out, one dialect a file
    encoding.py, reranking.py, searching.py, writing.py   what routes ask for
    bodies.py, keys.py, request_log.py                    what every request passes, outermost last
    page/          the page for people, sent as it is     overview.py, document_map.py    a library as a whole
    lifetime.py    binds, runs, and ends without dropping what is under way

It is imported by ``trivec serve`` alone, and needs the extra ``serve``.
"""
