/** Files in one zip archive, stored as they are (PKWARE's APPNOTE 4.3; UTF-8 names by bit 11 of the flags). */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const UTF8 = 1 << 11;
const FIRST_DAY = (1 << 5) | 1; // 1 January 1980: the same files give the same archive

/** @param {Record<string, string>} files contents by name @returns {Blob} */
export function zipped(files) {
  const encoder = new TextEncoder();
  /** @type {Uint8Array[]} */
  const parts = [];
  /** @type {Uint8Array[]} */
  const directory = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const title = encoder.encode(name);
    const content = encoder.encode(text);
    const about = [VERSION, UTF8, 0, 0, FIRST_DAY];
    const sizes = [checksum(content), content.length, content.length];
    const local = record(LOCAL, about, sizes, [title.length, 0]);
    parts.push(local, title, content);
    directory.push(record(CENTRAL, [VERSION, ...about], sizes, [title.length, 0, 0, 0, 0, 0, 0], [offset]), title);
    offset += local.length + title.length + content.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const many = Object.keys(files).length;
  const end = record(END, [0, 0, many, many], [length, offset], [0]);
  return new Blob(/** @type {BlobPart[]} */ ([...parts, ...directory, end]), { type: "application/zip" });
}

/**
 * A record: its mark, then groups of numbers of two and of four bytes by turns.
 *
 * @param {number} mark
 * @param {...number[]} groups
 */
function record(mark, ...groups) {
  const bytes = [...little(mark, 4)];
  groups.forEach((numbers, turn) => numbers.forEach((number) => bytes.push(...little(number, turn % 2 ? 4 : 2))));
  return new Uint8Array(bytes);
}

/** @param {number} number @param {number} width */
function little(number, width) {
  return Array.from({ length: width }, (_, place) => (number >>> (8 * place)) & 255);
}

/** CRC-32. @param {Uint8Array} content */
function checksum(content) {
  let found = ~0;
  for (const byte of content) {
    found ^= byte;
    for (let bit = 0; bit < 8; bit += 1) found = (found >>> 1) ^ (0xedb88320 & -(found & 1));
  }
  return ~found >>> 0;
}
