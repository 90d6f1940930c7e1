import type { VitePWAOptions } from 'vite-plugin-pwa';

/**
 * What makes the page an app that is installed and opens without a network. The worker keeps the shell alone: what people wrote is the
 * client's, in IndexedDB, and no answer of the API is ever kept here.
 */
export const pwa: Partial<VitePWAOptions> = {
  strategies: 'generateSW',
  filename: 'service-worker.js',
  manifestFilename: 'banter.webmanifest',
  // A new version waits until the user takes it or the last tab is closed: `src/pwa/update.svelte.ts`.
  registerType: 'prompt',
  injectRegister: false,
  workbox: {
    globPatterns: ['**/*.{html,js,css,svg,woff2}', 'icons/icon-192.png'],
    // The document and the shell's own address alone: the API's paths go to the server, and say so when there is none.
    navigateFallback: 'index.html',
    navigateFallbackAllowlist: [/\/(?:index\.html)?(?:\?.*)?$/],
    // What is loaded late and has a hash in its name, as the data of the emoji picker.
    runtimeCaching: [
      {
        urlPattern: ({ url, sameOrigin }) => sameOrigin && url.pathname.includes('/assets/'),
        handler: 'CacheFirst',
        options: { cacheName: 'late-assets', expiration: { maxEntries: 20 } },
      },
    ],
    // The first visit is ready for the next one without a network, at once.
    clientsClaim: true,
    cleanupOutdatedCaches: true,
    // One file: the worker loads no other script, and its policy lets it load none.
    inlineWorkboxRuntime: true,
    sourcemap: false,
  },
  manifest: {
    id: './',
    name: 'banter',
    short_name: 'banter',
    description: 'Chat that stays yours.',
    lang: 'en',
    start_url: './',
    scope: './',
    display: 'standalone',
    background_color: '#f7f4f1',
    theme_color: '#8e2f6b',
    categories: ['social', 'communication'],
    icons: [
      { src: 'icons/icon.svg', sizes: 'any', type: 'image/svg+xml' },
      { src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' },
      { src: 'icons/icon-512.png', sizes: '512x512', type: 'image/png' },
      { src: 'icons/icon-maskable-192.png', sizes: '192x192', type: 'image/png', purpose: 'maskable' },
      { src: 'icons/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
    ],
    shortcuts: [
      { name: 'People', url: './#/people', icons: [{ src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' }] },
      { name: 'New group', url: './#/groups/new', icons: [{ src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' }] },
    ],
  },
};
