import type { Server } from '../browser/server.ts';

/** Where the app is opened, and what serves it. */
export interface Served {
  address: string;
  by: 'the server' | 'vite preview';
  close: () => Promise<void>;
}

/** The app from the server itself; from `vite preview` in front of a server that was built without it, which compresses nothing and sends no policy. */
export async function served(server: Server): Promise<Served> {
  const page = await (await fetch(server.address)).text();
  if (page.includes('id="app"')) return { address: server.address, by: 'the server', close: async () => undefined };
  process.env['BANTER_SERVER'] = server.address;
  const { preview } = await import('vite');
  const started = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'error' });
  const address = started.httpServer.address();
  if (address === null || typeof address === 'string') throw new Error('vite preview listens nowhere');
  return { address: `http://127.0.0.1:${address.port}`, by: 'vite preview', close: () => started.close() };
}
