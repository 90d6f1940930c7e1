import WebSocket from 'ws';
import type { Account, Server } from '../browser/server.ts';

const WORDS =
  'the map shows a river north of town and we meet there at six after the train with bread some cheese news from home and time'.split(' ');
/** A session that is told nothing for this long has failed. */
const PATIENCE_MS = 60_000;

/** The text of the `number`th message: from a few words to a few lines, the same at every run. */
export function textOf(number: number): string {
  let state = (number * 2_654_435_761) >>> 0;
  const next = () => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 32;
  const length = next() < 0.1 ? 20 + next() * 60 : 2 + next() * 14;
  return `${number}: ${Array.from({ length }, () => WORDS[Math.floor(next() * WORDS.length)]).join(' ')}`;
}

/** A session over WebSocket that writes many messages, some unanswered at any time. */
export class Writer {
  readonly #socket: WebSocket;
  readonly #tags = new Map<string, number>();
  #unanswered = 0;
  #failed: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#hear(String(data)));
    socket.on('close', (code) => this.#fail(new Error(`the session was closed: ${code}`)));
    socket.on('error', (error) => this.#fail(error));
  }

  static async open(server: Server, account: Account): Promise<Writer> {
    const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/socket`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const writer = new Writer(socket);
    socket.send(JSON.stringify({ type: 'hello', token: account.token }));
    return writer;
  }

  /** Writes one after the other, and waits until all are stored. `rate` is messages a second. */
  async write(messages: Iterable<[conversation: string, text: string]>, window: number, rate = Infinity): Promise<void> {
    const begun = performance.now();
    let count = 0;
    for (const [conversation, text] of messages) {
      const due = begun + (count / rate) * 1_000;
      if (due > performance.now() + 1) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
      await this.#until(window - 1);
      const tag = (this.#tags.get(conversation) ?? 0) + 1;
      this.#tags.set(conversation, tag);
      this.#unanswered += 1;
      count += 1;
      this.#socket.send(JSON.stringify({ type: 'send', tag, conversation, text }));
    }
    await this.#until(0);
  }

  async close(): Promise<void> {
    this.#socket.removeAllListeners('close');
    await new Promise((resolve) => {
      this.#socket.once('close', resolve);
      this.#socket.close();
    });
  }

  /** Waits until at most `most` frames are unanswered. */
  async #until(most: number): Promise<void> {
    while (this.#unanswered > most && !this.#failed) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the server answers no more')), PATIENCE_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#failed) throw this.#failed;
  }

  #hear(frame: string): void {
    // Most are events of others, which are of no interest: they are not parsed.
    if (frame.startsWith('{"type":"sent"')) this.#unanswered -= 1;
    else if (frame.startsWith('{"type":"error"') || frame.startsWith('{"type":"bye"')) this.#failed = new Error(frame);
    else return;
    this.#wake?.();
  }

  #fail(error: Error): void {
    this.#failed ??= error;
    this.#wake?.();
  }
}

/** The id of the conversation of two. */
export function direct(one: Account, other: Account): string {
  const [lower, upper] = [one.user, other.user].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
  return `d.${lower}.${upper}`;
}

/** `count` messages by both sides in turn; answers with messages a second. */
export async function fillDirect(server: Server, both: [Account, Account], count: number, window: number): Promise<number> {
  const conversation = direct(...both);
  const begun = performance.now();
  await Promise.all(
    both.map(async (account, side) => {
      const writer = await Writer.open(server, account);
      const own = function* (): Generator<[string, string]> {
        for (let number = side + 1; number <= count; number += 2) yield [conversation, textOf(number)];
      };
      await writer.write(own(), window);
      await writer.close();
    }),
  );
  return count / ((performance.now() - begun) / 1_000);
}

/** Gives `me` this many conversations, each with one message: a quarter with people, the others groups that `host` made. */
export async function fillList(server: Server, me: Account, host: Account, count: number): Promise<void> {
  const people = Math.ceil(count / 4);
  const mine: [string, string][] = [];
  for (let number = 0; number < people; number += 1) {
    mine.push([direct(me, await server.signUp(`person${number}`, `Person ${number}`)), textOf(number)]);
  }
  const theirs: [string, string][] = [];
  for (let number = people; number < count; number += 1) {
    const body = { title: `Group ${number}`, members: [me.user], earlier_history: true, key: `group ${number}` };
    const { conversation } = (await host.call('POST', '/v1/groups', body)) as { conversation: string };
    theirs.push([conversation, textOf(number)]);
  }
  for (const [account, messages] of [
    [me, mine],
    [host, theirs],
  ] as const) {
    const writer = await Writer.open(server, account);
    await writer.write(messages, 32);
    await writer.close();
  }
}
