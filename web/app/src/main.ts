import './design/tokens.css';
import './design/base.css';
import { mount } from 'svelte';
import { install } from './pwa/install.svelte.ts';
import { update } from './pwa/update.svelte.ts';
import Root from './Root.svelte';
import { app, clock } from './state/app.svelte.ts';
import { look } from './state/theme.svelte.ts';
import { speech } from './text/text.svelte.ts';
import { router } from './router.svelte.ts';
import { followKeyboard } from './viewport.ts';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');

look.start();
followKeyboard();
router.start();
clock.start();
install.start();
const texts = speech.start();
const opening = app.start();
await texts;
mount(Root, { target, props: { opening } });
// After what is needed to show anything. Without it the app works, but not offline.
update.start().catch((error: unknown) => console.warn('no service worker', error));
