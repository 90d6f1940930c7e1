import type { BrowserContext } from '@playwright/test';
import { expect, test } from './fixtures.ts';

test('a server that restarts in the middle of a conversation', async ({ person, server }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('before');
  await bob.open('Ada');
  await expect(bob.message('before')).toBeVisible();

  await server.close('SIGKILL');
  await ada.write('while it is away');
  await expect(ada.page.getByRole('status').filter({ hasText: 'Try again' })).toBeVisible();
  await expect(ada.message('while it is away')).toContainText('Sending');
  await server.open();
  // Unless the device came back by itself just now, and the button went.
  const again = ada.page.getByRole('button', { name: 'Try again' });
  await Promise.race([again.click(), again.waitFor({ state: 'detached' })]);

  await expect(bob.message('while it is away')).toBeVisible();
  await expect(ada.message('while it is away')).toContainText(/Sent|Delivered|Read/);
  await bob.write('after');
  await expect(ada.message('after')).toBeVisible();
  for (const text of ['before', 'while it is away', 'after']) {
    await expect(ada.message(text)).toHaveCount(1);
    await expect(bob.message(text)).toHaveCount(1);
  }
});

test('what is written offline is delivered later, also when the page was closed meanwhile', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('online');
  await expect(ada.message('online')).toContainText(/Sent|Delivered/);
  // The service worker has the app, so that it opens without a network.
  await ada.page.evaluate(() => navigator.serviceWorker.ready);

  await ada.context.setOffline(true);
  await expect(ada.page.getByText('You are offline. What you write is sent when you are back.')).toBeVisible();
  await ada.write('offline, first');
  await ada.write('offline, second');
  // A page that goes before that is stored has it in the composer again.
  await expect(ada.message('offline, second')).toContainText('Sending');
  await ada.page.reload();
  await expect(ada.message('online')).toBeVisible();
  await expect(ada.message('offline, second')).toContainText('Sending');

  await bob.open('Ada');
  await expect(bob.message('online')).toBeVisible();
  await expect(bob.message('offline, first')).toHaveCount(0);
  await ada.context.setOffline(false);
  await expect(bob.message('offline, second')).toBeVisible();
  await expect(ada.message('offline, second')).toContainText(/Delivered|Read/);
  const texts = await bob.page.locator('article[data-message] .words').allTextContents();
  expect(
    texts.map((text) => text.trim()),
    'once each, in order',
  ).toEqual(['online', 'offline, first', 'offline, second']);
});

/** A network on which no WebSocket ever opens. */
async function withoutWebSocket(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    class Blocked extends EventTarget {
      static readonly OPEN = 1;
      readyState = 0;
      onclose: ((event: Event) => void) | null = null;
      onerror: ((event: Event) => void) | null = null;
      constructor() {
        super();
        setTimeout(() => {
          this.readyState = 3;
          const [error, close] = [new Event('error'), new CloseEvent('close', { code: 1006 })];
          this.onerror?.(error);
          this.dispatchEvent(error);
          this.onclose?.(close);
          this.dispatchEvent(close);
        }, 20);
      }
      send(): void {
        throw new DOMException('not open', 'InvalidStateError');
      }
      close(): void {}
    }
    Object.assign(window, { WebSocket: Blocked });
  });
}

test('where WebSocket is blocked, it goes over long polling by itself', async ({ person }) => {
  const polls: string[] = [];
  const ada = await person('Ada', async (context) => {
    await withoutWebSocket(context);
    context.on('request', (request) => {
      if (/\/v1\/sessions\/[^/]+\/frames\?after=/.test(request.url())) polls.push(request.url());
    });
  });
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('over polling');
  await bob.open('Ada');
  await expect(bob.message('over polling')).toBeVisible();
  await expect(ada.message('over polling')).toContainText('Read');
  await bob.write('and back');
  await expect(ada.message('and back')).toBeVisible();
  expect(polls.length).toBeGreaterThan(0);
});

test('several tabs are one device with one session, and show the same', async ({ person, server }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('from the first tab');
  await bob.open('Ada');

  const second = await ada.context.newPage();
  await second.goto(ada.page.url());
  await expect(second.locator('article[data-message]').filter({ hasText: 'from the first tab' })).toBeVisible();
  const composer = second.getByRole('textbox', { name: 'Message Bob' });
  await composer.fill('from the second tab');
  await composer.press('Enter');
  await expect(ada.message('from the second tab')).toContainText(/Sent|Delivered|Read/);
  await expect(bob.message('from the second tab')).toBeVisible();
  expect(await sessions(server.address), 'of Ada one, of Bob one').toBe(2);

  // The tab that held the session goes; the other takes over.
  await ada.page.close();
  await bob.write('still there?');
  await expect(second.locator('article[data-message]').filter({ hasText: 'still there?' })).toBeVisible();
  await composer.fill('yes');
  await composer.press('Enter');
  await expect(bob.message(/^\s*yes/)).toHaveCount(1);
  await expect.poll(() => sessions(server.address)).toBe(2);
});

async function sessions(address: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith('banter_sessions ') || one.startsWith('banter_sessions{'));
  return Number(line?.split(' ').at(-1));
}

test('a device that is logged out from elsewhere is told, and keeps nothing', async ({ person, server }) => {
  const ada = await person('Ada');
  await server.signUp('bob', 'Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('a secret');
  await expect(ada.message('a secret')).toContainText('Sent');
  const elsewhere = await server.logIn('ada');
  const { devices } = (await elsewhere.call('GET', '/v1/devices')) as { devices: { device: string; current: boolean }[] };
  await elsewhere.call('DELETE', `/v1/devices/${devices.find((device) => !device.current)!.device}`);
  await expect(ada.page.getByText('This device was signed out.')).toBeVisible();
  await ada.page.reload();
  await expect(ada.page.getByRole('button', { name: 'Log in', exact: true })).toBeVisible();
  await expect(ada.page.getByText('a secret')).toHaveCount(0);
});

test('a draft is there again after a reload', async ({ person, server }) => {
  await server.signUp('bob', 'Bob');
  const ada = await person('Ada');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.composer.fill('I was about to say');
  await ada.go('');
  await expect(ada.row('Bob')).toContainText('I was about to say');
  await ada.page.reload();
  await ada.open('Bob');
  await expect(ada.composer).toHaveValue('I was about to say');
});

test('what was being written before an edit is there again after a reload', async ({ person, server }) => {
  await server.signUp('bob', 'Bob');
  const ada = await person('Ada');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('the frist');
  await ada.composer.fill('I was about to say');
  await ada.act(ada.message('the frist'), 'Edit');
  await ada.composer.fill('the first');
  // Kept a moment after it is written.
  await ada.go('');
  await expect(ada.row('Bob')).toContainText('the first');
  await ada.page.reload();
  await ada.open('Bob');
  await expect(ada.composer).toHaveValue('the first');
  await ada.composer.press('Enter');
  await expect(ada.message('the first')).toContainText('edited');
  await expect(ada.composer).toHaveValue('I was about to say');
});

test('the Enter that ends an input method in Safari sends nothing', async ({ person, server }) => {
  await server.signUp('bob', 'Bob');
  const ada = await person('Ada');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.composer.fill('日本');
  await ada.composer.dispatchEvent('keydown', { key: 'Enter', keyCode: 229, isComposing: false });
  await expect(ada.composer).toHaveValue('日本');
  await ada.composer.press('Enter');
  await expect(ada.message('日本')).toHaveCount(1);
});
