import { chat } from './chat.ts';
import { common } from './common.ts';
import { screens } from './screens.ts';

/** The English texts: the source of what has to be said in every other language. */
export const en = { ...common, ...chat, ...screens };
