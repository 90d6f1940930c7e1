import type { Presence } from '@banter/client';
import { clock } from '../../state/app.svelte.ts';
import { speech, t } from '../../text/text.svelte.ts';
import { clock as clockTime, day } from '../../text/time.ts';

/** What is said of somebody's presence; nothing where nothing is known or they do not let one know. */
export function presenceText(presence: Presence): string | undefined {
  if (presence.state === 'online') return t('presence.online');
  if (presence.state !== 'offline') return undefined;
  return presence.lastSeen === undefined ? t('presence.offline') : t('presence.last-seen', { time: moment(presence.lastSeen) });
}

/** A day and a time, as people say them. */
export function moment(at: number): string {
  const { language } = speech;
  const on = day(at, clock.now, language);
  return `${on.charAt(0).toLocaleLowerCase(language)}${on.slice(1)}, ${clockTime(at, language)}`;
}
