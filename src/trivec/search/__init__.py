"""From documents to explained hits: readers, the chunker, collections, retrieval and fusion."""
