import { defineConfig, devices } from '@playwright/test';

/** Browser tests against the real server: build the web app first, then the server with it inside (`cargo build`). */
export default defineConfig({
  testDir: 'tests/browser',
  outputDir: 'test-results',
  fullyParallel: true,
  // Each has a server, and two or three browsers' worth of pages.
  workers: 2,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  forbidOnly: process.env['CI'] !== undefined,
  reporter: [['list']],
  use: {
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    trace: 'retain-on-failure',
    actionTimeout: 15_000,
  },
  projects: [
    { name: 'desk', testMatch: '*.spec.ts', use: { viewport: { width: 1280, height: 800 } } },
    // What a person does most, also on a phone.
    {
      name: 'phone',
      testMatch: ['talking.spec.ts', 'groups.spec.ts', 'people.spec.ts'],
      use: { ...devices['Pixel 7'], locale: 'en-GB', timezoneId: 'Europe/Berlin' },
    },
    { name: 'screenshots', testMatch: 'screenshots.ts', timeout: 300_000, use: { viewport: { width: 1280, height: 800 }, trace: 'off' } },
    // What is measured: `npm run figures`.
    { name: 'figures', testDir: 'tests/figures', testMatch: 'figures.ts', timeout: 0, use: { trace: 'off' } },
  ],
});
