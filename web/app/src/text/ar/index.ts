import type { TextKey } from '../text.svelte.ts';
import type { Text } from '../plural.ts';
import { chat } from './chat.ts';
import { common } from './common.ts';
import { screens } from './screens.ts';

/** The Arabic texts. */
export const ar: Record<TextKey, Text> = { ...common, ...chat, ...screens };
