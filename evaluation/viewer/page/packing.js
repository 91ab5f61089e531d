// Reads the files of evaluation/recording/packing.py: named columns of numbers and a JSON document.

const MAGIC = "CARLEP01";

/**
 * Everything in a packed file.
 * @param {string} base64 the file
 * @returns {Promise<{about: object, columns: Map<string, Float64Array>, rows: Map<string, number[]>}>}
 */
export async function unpack(base64) {
  const bytes = bytesOf(base64);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) {
    throw new Error(`the data begins with "${magic}", expected "${MAGIC}": write the page again`);
  }
  const raw = await inflated(bytes.subarray(MAGIC.length));
  const length = new DataView(raw.buffer, raw.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)));
  const columns = new Map();
  const rows = new Map();
  let at = 4 + length;
  for (const head of header.columns) {
    const lengths = head.rows === null ? [head.count] : repeated(head.rows);
    columns.set(head.name, decoded(raw.subarray(at, at + head.count * head.width), head, lengths));
    rows.set(head.name, lengths);
    at += head.count * head.width;
  }
  return { about: header.about, columns, rows };
}

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Row lengths from runs of [length, how many]. */
function repeated(runs) {
  return runs.flatMap(([length, count]) => new Array(count).fill(length));
}

/** Byte planes to zigzag to differences to values. */
function decoded(block, head, lengths) {
  const values = new Float64Array(head.count);
  for (let plane = head.width - 1; plane >= 0; plane--) {
    const start = plane * head.count;
    for (let i = 0; i < head.count; i++) values[i] = values[i] * 256 + block[start + i];
  }
  for (let i = 0; i < head.count; i++) {
    values[i] = values[i] % 2 ? -(values[i] + 1) / 2 : values[i] / 2;
  }
  let start = 0;
  for (const length of lengths) {
    if (head.order === 1) addUp(values, start, length);
    if (head.order === 2) addUpTwice(values, start, length);
    start += length;
  }
  for (let i = 0; i < head.count; i++) values[i] *= head.step;
  return values;
}

function addUp(values, start, length) {
  for (let i = start + 1; i < start + length; i++) values[i] += values[i - 1];
}

function addUpTwice(values, start, length) {
  let slope = 0;
  for (let i = start + 1; i < start + length; i++) {
    slope += values[i];
    values[i] = values[i - 1] + slope;
  }
}
