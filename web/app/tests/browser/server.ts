import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BINARY = process.env['BANTER'] ?? fileURLToPath(new URL('../../../../target/debug/banter', import.meta.url));
const READY = /^banter is ready: (http:\/\/\S+)/;
const PATIENCE_MS = 30_000;
export const PASSWORD = 'correct horse battery';

/** The real server, on a port and in a data folder of its own. */
export class Server {
  /** Without a slash at the end. */
  address = '';
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #tag = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), 'banter-browser-')));
    await server.open();
    return server;
  }

  /** Starts it, the second time on the address of the first. */
  async open(): Promise<void> {
    const listen = this.address === '' ? '127.0.0.1:0' : new URL(this.address).host;
    const options = ['serve', '--unlimited', '--listen', listen, '--data', join(this.#folder, 'data'), '--presence-grace-ms', '200'];
    const process = spawn(BINARY, options, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = process;
    this.address = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the server does not start')), PATIENCE_MS);
      process.once('error', reject);
      process.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
      createInterface({ input: process.stdout }).on('line', (line) => {
        const address = READY.exec(line)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        resolve(address);
      });
    });
  }

  /** Ends it: asked politely, or not (`SIGKILL`). */
  async close(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process || process.exitCode !== null) return;
    await new Promise((resolve) => {
      process.once('exit', resolve);
      process.kill(signal);
    });
  }

  async remove(): Promise<void> {
    await this.close('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** An account, made without a browser. */
  async signUp(handle: string, displayName: string = handle): Promise<Account> {
    const made = await this.#call('POST', '/v1/accounts', undefined, { handle, password: PASSWORD, display_name: displayName });
    return this.#account(handle, made);
  }

  /** Another device of somebody's. */
  async logIn(handle: string, deviceName = 'another device'): Promise<Account> {
    return this.#account(handle, await this.#call('POST', '/v1/login', undefined, { handle, password: PASSWORD, device_name: deviceName }));
  }

  #account(handle: string, made: unknown): Account {
    const { user, tokens } = made as { user: string; tokens: { access_token: string } };
    return {
      handle,
      user,
      token: tokens.access_token,
      call: (method, path, body) => this.#call(method, path, tokens.access_token, body),
      write: (conversation, texts) => this.#write(tokens.access_token, conversation, texts),
    };
  }

  /** Makes two people friends. */
  async befriend(one: Account, other: Account): Promise<void> {
    await one.call('POST', `/v1/friends/${other.user}`);
    await other.call('POST', `/v1/friends/${one.user}/accept`);
  }

  /** Sends texts over a polling session of its own, each when the one before is stored. */
  async #write(token: string, conversation: string, texts: readonly string[]): Promise<void> {
    const opened = (await this.#call('POST', '/v1/sessions', undefined, { type: 'hello', token })) as Polled & { session: string };
    const frames = `/v1/sessions/${opened.session}/frames`;
    let { cursor } = opened;
    for (const text of texts) {
      const tag = (this.#tag += 1);
      await this.#call('POST', frames, undefined, [{ type: 'send', tag, conversation, text }]);
      for (let answered = false; !answered; ) {
        const polled = (await this.#call('GET', `${frames}?after=${cursor}`, undefined, undefined)) as Polled;
        cursor = polled.cursor;
        for (const frame of polled.frames) {
          if (frame.type === 'error') throw new Error(JSON.stringify(frame));
          answered ||= frame.type === 'sent' && frame.tag === tag;
        }
      }
    }
    await this.#call('DELETE', `/v1/sessions/${opened.session}`, undefined, undefined);
  }

  async #call(method: string, path: string, token: string | undefined, body: unknown): Promise<unknown> {
    const answer = await fetch(this.address + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

/** Somebody who is logged in without a browser. */
export interface Account {
  readonly handle: string;
  readonly user: string;
  /** Their access token, good for 15 minutes. */
  readonly token: string;
  /** A request of theirs to the API; its answer's JSON. */
  readonly call: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** Writes messages in a conversation, and waits until they are stored. */
  readonly write: (conversation: string, texts: readonly string[]) => Promise<void>;
}

/** What a poll answers with. */
interface Polled {
  readonly cursor: number | string;
  readonly frames: readonly { readonly type: string; readonly tag?: number }[];
}
