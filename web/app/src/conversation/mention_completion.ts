import type { Profile } from '@banter/client';

/** Most members offered at a time. */
export const OFFERED = 6;

/** Members whose handle, or a word of whose name, begins with `prefix`; handles first. */
export function offers(members: readonly Profile[], prefix: string): Profile[] {
  const wanted = prefix.toLocaleLowerCase();
  const rank = ({ handle, displayName, deleted }: Profile): number => {
    if (deleted || handle === undefined) return -1;
    if (handle.startsWith(wanted)) return 0;
    return displayName
      .toLocaleLowerCase()
      .split(/\s+/u)
      .some((word) => word.startsWith(wanted))
      ? 1
      : -1;
  };
  return members
    .map((profile) => ({ profile, rank: rank(profile) }))
    .filter((one) => one.rank >= 0)
    .sort((a, b) => a.rank - b.rank || (a.profile.handle! < b.profile.handle! ? -1 : 1))
    .slice(0, OFFERED)
    .map((one) => one.profile);
}

/** The text with `@prefix`, which begins at `start` and ends at `caret`, made `@handle ` and where the caret stands then. */
export function complete(text: string, start: number, caret: number, handle: string): { text: string; caret: number } {
  const after = text.slice(caret);
  const inserted = `@${handle}${/^\s/u.test(after) ? '' : ' '}`;
  const end = start + inserted.length + (inserted.endsWith(' ') ? 0 : 1);
  return { text: text.slice(0, start) + inserted + after, caret: end };
}
