import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { VitePWA } from 'vite-plugin-pwa';
import { defineConfig } from 'vitest/config';
import { pwa } from './build/pwa.ts';

// `BANTER_SERVER` is the server that `npm run dev` passes API calls and sessions on to.
const server = process.env['BANTER_SERVER'] ?? 'http://127.0.0.1:8480';

export default defineConfig({
  plugins: [svelte(), VitePWA(pwa)],
  // Relative addresses: the page works under any path a proxy puts it.
  base: './',
  build: { target: ['chrome120', 'firefox121', 'safari17.2'], sourcemap: false, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // The client's sources, not its build: one build, one type check, and a change is seen at once.
  resolve: { alias: { '@banter/client': fileURLToPath(new URL('../packages/client/src/index.ts', import.meta.url)) } },
  server: { proxy: { '/v1': { target: server, ws: true, changeOrigin: false }, '/health': server } },
  preview: { proxy: { '/v1': { target: server, ws: true, changeOrigin: false }, '/health': server } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
