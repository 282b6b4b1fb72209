/**
 * What goes back and forth. This file holds types alone.
 *
 * @typedef {"dense" | "sparse" | "bm25" | "multi"} Signal
 * @typedef {Partial<Record<Signal, number>>} Scores
 * @typedef {string | number | boolean | null} Scalar
 *
 * @typedef {object} Reranking
 * @property {string} model
 * @property {number} score its logit
 * @property {number} probability
 * @property {number} first_rank
 * @property {number} first_score
 *
 * @typedef {object} MatchedWord
 * @property {string} word in lower case
 * @property {number} weight
 * @property {"sparse" | "bm25"} signal
 *
 * @typedef {object} Alignment offsets are code points: of the query, and of the title or of the document's text
 * @property {string} query_word
 * @property {number} query_start
 * @property {number} query_end
 * @property {string} document_word
 * @property {"title" | "text"} field
 * @property {number} document_start
 * @property {number} document_end
 * @property {number} similarity
 *
 * @typedef {object} Explanation
 * @property {{signal: Signal, score: number}[]} signals
 * @property {MatchedWord[]} words
 * @property {Alignment[]} alignments
 *
 * @typedef {object} Hit
 * @property {number} rank
 * @property {number} score
 * @property {string} id
 * @property {string} title
 * @property {string} text
 * @property {Record<string, Scalar | Scalar[]>} metadata
 * @property {{number: number, count: number, start: number, end: number}} passage
 * @property {Scores} signals raw scores
 * @property {Scores} contributions
 * @property {Reranking} [reranking]
 *
 * @typedef {object} SearchWay how a library is searched if nothing else is said
 * @property {string} mode
 * @property {string} fusion
 * @property {Scores} weights
 * @property {string} reranker
 * @property {number | null} depth
 * @property {number | null} first_stage
 * @property {Record<string, Scores>} rules
 *
 * @typedef {object} Library
 * @property {string} name
 * @property {string} model
 * @property {Signal[]} signals
 * @property {number} documents
 * @property {number} passages
 * @property {number} bytes
 * @property {string} store
 * @property {SearchWay} search
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {number} documents
 * @property {number} distinct
 * @property {boolean} complete
 * @property {{value: Scalar, documents: number}[]} values
 * @property {number | null} lowest
 * @property {number | null} highest
 *
 * @typedef {object} Overview
 * @property {number} documents
 * @property {number} passages
 * @property {number[]} length_quantiles
 * @property {{low: number, high: number, documents: number}[]} lengths
 * @property {Field[]} fields
 *
 * @typedef {object} DocumentMap
 * @property {number} documents
 * @property {{id: string, title: string, x: number, y: number}[]} points
 * @property {[number, number]} shares
 * @property {Record<string, Scalar[]>} fields
 *
 * @typedef {object} Settings of one column; null is the library's own way
 * @property {string} library
 * @property {string | null} mode
 * @property {string | null} fusion
 * @property {Scores | null} weights
 * @property {string | null} reranker an empty name is none
 * @property {number | null} depth
 * @property {number | null} firstStage
 * @property {number} k
 * @property {Record<string, Scalar[]>} picks values of fields that are ticked
 * @property {string} where an expression
 *
 * @typedef {object} Mark
 * @property {boolean} relevant
 * @property {string} title
 * @property {string} text of the passage that was shown
 */

export {};
