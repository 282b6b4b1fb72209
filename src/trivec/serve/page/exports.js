/** Marks as files that trivec reads: examples for training, and a set for evaluation in BEIR's layout. */

/**
 * @typedef {import("./marks.js").Judgements} Judgements
 * @typedef {{id: string, title: string, text: string}} Found
 */

/**
 * One example a line; queries without a relevant passage are left out, for there is nothing to learn from them.
 *
 * @param {Judgements} judgements
 * @returns {string}
 */
export function trainingFile(judgements) {
  const lines = [];
  for (const [query, marks] of Object.entries(judgements)) {
    const all = Object.entries(marks);
    const right = all.filter(([, mark]) => mark.relevant);
    const wrong = all.filter(([, mark]) => !mark.relevant);
    if (!right.length) continue;
    const texts = (/** @type {typeof all} */ side) => side.map(([, mark]) => joined(mark));
    const ids = (/** @type {typeof all} */ side) => side.map(([id]) => id);
    lines.push({ query, pos: texts(right), neg: texts(wrong), pos_ids: ids(right), neg_ids: ids(wrong) });
  }
  return asLines(lines);
}

/**
 * Queries, judged documents and judgements.
 *
 * @param {Judgements} judgements
 * @param {(id: string) => Promise<Found | null>} fetchDocument whole; null if it is gone
 * @returns {Promise<Record<string, string>>} contents by file name
 */
export async function evaluationSet(judgements, fetchDocument) {
  const queries = Object.keys(judgements).map((text, number) => ({ _id: `q${number + 1}`, text }));
  /** @type {Map<string, {_id: string, title: string, text: string}>} */
  const corpus = new Map();
  const grades = ["query-id\tcorpus-id\tscore"];
  for (const { _id, text } of queries) {
    for (const [id, mark] of Object.entries(judgements[text])) {
      if (/[\t\n\r]/.test(id)) continue; // no name for a table
      grades.push(`${_id}\t${id}\t${mark.relevant ? 1 : 0}`);
      if (corpus.has(id)) continue;
      const whole = (await fetchDocument(id)) ?? mark;
      corpus.set(id, { _id: id, title: whole.title, text: whole.text });
    }
  }
  return {
    "queries.jsonl": asLines(queries),
    "corpus.jsonl": asLines([...corpus.values()]),
    "qrels.tsv": `${grades.join("\n")}\n`,
  };
}

/** Offer a file for saving. @param {string} name @param {Blob} content */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** As the model reads a passage. @param {import("./types.js").Mark} mark */
function joined({ title, text }) {
  return title ? `${title} ${text}` : text;
}

/** @param {object[]} rows */
function asLines(rows) {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
