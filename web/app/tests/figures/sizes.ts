import { readdir, readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));

/** What a browser is sent, in bytes: compressed with brotli where the build did so. */
export async function sizes() {
  const page = await readFile(`${DIST}index.html`, 'utf8');
  const linked = [...page.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, path]) => path!);
  const assets = (await readdir(`${DIST}assets`)).filter((name) => !/\.(br|gz)$/.test(name)).map((name) => `assets/${name}`);
  const sum = async (paths: string[]) => (await Promise.all(paths.map(sent))).reduce((all, one) => all + one, 0);
  const late: [string, number][] = [];
  for (const path of assets.filter((one) => !linked.includes(one))) late.push([path.slice('assets/'.length), await sent(path)]);
  return {
    'first load: script': await sum(linked.filter((path) => path.endsWith('.js'))),
    'first load: style': await sum(linked.filter((path) => path.endsWith('.css'))),
    'first load: document': await sent('index.html'),
    'service worker': await sent('service-worker.js'),
    'loaded when needed': Object.fromEntries(late.sort(([, one], [, other]) => other - one)),
  };
}

/** The server sends what the build left uncompressed, being too small to gain, as it is. */
async function sent(path: string): Promise<number> {
  const compressed = await stat(`${DIST}${path}.br`).catch(() => undefined);
  return (compressed ?? (await stat(`${DIST}${path}`))).size;
}
