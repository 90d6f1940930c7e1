/** What an avatar shows without a picture: letters of a name, and a hue that stays with an id. */

const letters = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

function first(word: string): string {
  for (const { segment } of letters.segment(word)) return segment;
  return '';
}

/** The first letters of the first and the last word; a whole grapheme each, so that no emoji or accent is cut. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const start = words[0];
  if (start === undefined) return '';
  const end = words.length > 1 ? words.at(-1) : undefined;
  return (first(start) + (end === undefined ? '' : first(end))).toLocaleUpperCase();
}

/** One of twelve colours for an id, the same on every device. */
export function colourOf(id: string): number {
  // FNV-1a: ids that follow each other get colours that do not.
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % 12;
}
