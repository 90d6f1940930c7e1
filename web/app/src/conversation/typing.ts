import { app } from '../state/app.svelte.ts';
import { t } from '../text/text.svelte.ts';

/** Who is typing, in words; names only where there are several people. */
export function typingText(users: readonly string[], group: boolean): string | undefined {
  const [first, second] = users;
  if (first === undefined) return undefined;
  if (!group) return t('typing.short');
  if (second === undefined) return t('typing.one', { name: app.name(first) });
  return users.length === 2 ? t('typing.two', { name: app.name(first), other: app.name(second) }) : t('typing.many');
}
