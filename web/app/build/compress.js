// Compresses what was built, once and as small as it gets, so that the server sends it as it is: `x.js.br` and `x.js.gz` beside `x.js`.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const TEXT = /\.(html|js|css|svg|json|webmanifest|txt)$/;
// Below this a packet is saved by neither.
const AT_LEAST_BYTES = 512;

const dist = new URL('../dist/', import.meta.url);
const brotli = (bytes) =>
  promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
const gzipped = (bytes) => promisify(gzip)(bytes, { level: 9 });

let [plain, small] = [0, 0];
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXT.test(entry.name)) continue;
  const path = `${entry.parentPath}/${entry.name}`;
  const bytes = await readFile(path);
  plain += bytes.length;
  let smallest = bytes.length;
  if (bytes.length >= AT_LEAST_BYTES) {
    for (const [extension, compress] of [
      ['br', brotli],
      ['gz', gzipped],
    ]) {
      const compressed = await compress(bytes);
      if (compressed.length >= bytes.length) continue;
      await writeFile(`${path}.${extension}`, compressed);
      smallest = Math.min(smallest, compressed.length);
    }
  }
  small += smallest;
}
console.log(`compressed ${(plain / 1024).toFixed(0)} KiB of text to ${(small / 1024).toFixed(0)} KiB`);
