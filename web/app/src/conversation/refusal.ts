import type { Refusal } from '@banter/client';
import { t, type TextKey } from '../text/text.svelte.ts';

const TEXTS: Record<string, TextKey> = {
  may_not_write: 'refused.may-not-write',
  not_a_member: 'refused.not-a-member',
  text_too_long: 'refused.text-too-long',
  text_empty: 'refused.text-empty',
  control_character: 'refused.control-character',
  too_many_edits: 'refused.too-many-edits',
  too_many_reactions: 'refused.too-many-reactions',
  unreachable: 'error.offline',
  offline: 'error.offline',
  outbox_full: 'refused.outbox-full',
};

/** Why something was refused, in the user's language where the reason is one of those that happen. */
export function refusalText(refusal: Refusal): string {
  const key = TEXTS[refusal.code];
  return key === undefined ? t('refused.other', { message: refusal.message }) : t(key);
}
