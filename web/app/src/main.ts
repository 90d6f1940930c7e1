import './design/tokens.css';
import './design/base.css';
import { mount } from 'svelte';
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
const texts = speech.start();
const opening = app.start();
await texts;
mount(Root, { target, props: { opening } });
