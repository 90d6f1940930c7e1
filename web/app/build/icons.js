// Draws the PNG icons in public/icons from the SVG in icons, with the browser that the tests use: `npm run icons`.
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { chromium } from '@playwright/test';

const DRAWN = [
  ['icon.svg', 'icon-192.png', 192],
  ['icon.svg', 'icon-512.png', 512],
  ['icon-maskable.svg', 'icon-maskable-192.png', 192],
  ['icon-maskable.svg', 'icon-maskable-512.png', 512],
  ['icon-maskable.svg', 'apple-touch-icon.png', 180],
];
const source = new URL('../icons/', import.meta.url);
const target = new URL('../public/icons/', import.meta.url);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  for (const [drawing, name, size] of DRAWN) {
    const page = await browser.newPage({ viewport: { width: size, height: size } });
    await page.setContent(
      `<style>* { margin: 0 } svg { display: block; width: ${size}px }</style>${await readFile(new URL(drawing, source), 'utf8')}`,
    );
    await writeFile(new URL(name, target), await page.screenshot({ omitBackground: true }));
    await page.close();
  }
} finally {
  await browser.close();
}
await copyFile(new URL('icon.svg', source), new URL('icon.svg', target));
