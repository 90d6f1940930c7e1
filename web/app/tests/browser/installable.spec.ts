import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from './fixtures.ts';

test('the app can be installed, and opens without a network', async ({ visitor, server }) => {
  const ada = await visitor('Ada');
  const link = await ada.page.locator('link[rel=manifest]').getAttribute('href');
  const manifest = await (await fetch(new URL(link!, `${server.address}/`))).json();
  expect(manifest).toMatchObject({ name: 'banter', display: 'standalone', start_url: './', scope: './' });
  for (const { src, sizes, type } of manifest.icons) {
    const icon = await fetch(new URL(src, `${server.address}/`));
    expect([icon.status, icon.headers.get('content-type')], src).toEqual([200, type]);
    if (type !== 'image/png') continue;
    const bytes = new DataView(await icon.arrayBuffer());
    expect(`${bytes.getUint32(16)}x${bytes.getUint32(20)}`, src).toBe(sizes);
  }
  expect(manifest.icons.some(({ purpose }: { purpose?: string }) => purpose === 'maskable')).toBe(true);

  await ada.page.evaluate(() => navigator.serviceWorker.ready);
  await ada.context.setOffline(true);
  await ada.page.reload();
  await expect(ada.page.getByRole('button', { name: 'Create account' })).toBeVisible();
});

test('a new version is offered, and taken when the user says so', async ({ page, server }) => {
  // The server after an update: the same but for its service worker.
  let version = '';
  const updated = createServer((request, response) => {
    void (async () => {
      const answer = await fetch(server.address + request.url);
      const body = Buffer.from(await answer.arrayBuffer());
      const headers = [...answer.headers].filter(
        ([name]) => name !== 'content-length' && name !== 'content-encoding' && name !== 'connection',
      );
      response.writeHead(answer.status, Object.fromEntries(headers));
      response.end(request.url === '/service-worker.js' ? Buffer.concat([body, Buffer.from(version)]) : body);
    })();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => updated.once('listening', resolve));
  try {
    await page.goto(`http://127.0.0.1:${(updated.address() as AddressInfo).port}/`);
    await page.getByRole('textbox', { name: 'Handle', exact: true }).fill('half_writ');
    await page.evaluate(() => navigator.serviceWorker.ready);
    version = '\n// another version';
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());

    await expect(page.getByText('A new version is ready.')).toBeVisible();
    await expect(page.getByRole('textbox', { name: 'Handle', exact: true }), 'nothing is taken away').toHaveValue('half_writ');
    await page.getByRole('button', { name: 'Reload' }).click();
    await expect(page.getByRole('textbox', { name: 'Handle', exact: true })).toHaveValue('');
    await expect(page.getByText('A new version is ready.')).toHaveCount(0);
    expect(await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.waiting)).toBeNull();
  } finally {
    updated.closeAllConnections();
    updated.close();
  }
});

test('nothing runs or loads that did not come with the app', async ({ page, server }) => {
  await page.goto(server.address);
  const tried = await page.evaluate(async () => {
    const violations: string[] = [];
    document.addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective));
    const tries: (() => unknown)[] = [
      () => document.body.appendChild(Object.assign(document.createElement('style'), { textContent: 'body { color: red }' })),
      () => document.body.appendChild(Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:9/x.png' })),
      () => fetch('http://127.0.0.1:9/').catch(() => undefined),
      () => (document.createElement('div').innerHTML = '<b>x</b>'),
      () => document.body.appendChild(Object.assign(document.createElement('script'), { src: '/assets/x.js' })),
    ];
    for (const attempt of tries) {
      try {
        await attempt();
      } catch {
        // Trusted Types throw where the others are only refused.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    return violations;
  });
  for (const directive of ['style-src-elem', 'img-src', 'connect-src', 'require-trusted-types-for']) expect(tried).toContain(directive);
  expect(tried.filter((directive) => directive === 'require-trusted-types-for')).toHaveLength(2);
});

test('the first load is small', async ({ server }) => {
  const page = await (await fetch(server.address)).text();
  const scripts = [...page.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map(([, path]) => path!);
  expect(scripts.length).toBeGreaterThan(0);
  let bytes = 0;
  for (const path of scripts) {
    const answer = await fetch(`${server.address}/${path}`, { headers: { 'accept-encoding': 'br' } });
    bytes += Number(answer.headers.get('content-length'));
  }
  expect(bytes, 'something').toBeGreaterThan(10 * 1024);
  expect(bytes, 'compressed script').toBeLessThanOrEqual(120 * 1024);
});
