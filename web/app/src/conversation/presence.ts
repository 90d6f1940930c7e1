import type { Presence } from '@banter/client';
import { t } from '../text/text.svelte.ts';
import { brief } from '../text/time.ts';

/** Online, or when last; empty where it is not known or not told. */
export function lastSeenText(presence: Presence | undefined, now: number, language: string): string {
  if (presence?.state === 'online') return t('presence.online');
  if (presence?.state !== 'offline') return '';
  return presence.lastSeen === undefined
    ? t('presence.offline')
    : t('presence.last-seen', { time: brief(presence.lastSeen, now, language) });
}
