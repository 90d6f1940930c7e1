/** Finding in the conversation list: every word of what was typed begins a word of the name or handle. */

/** Without case, accents and the like, so that "jose" finds "José". */
export function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase();
}

export function matches(words: string, ...names: (string | undefined)[]): boolean {
  const parts = names.flatMap((name) => (name ? fold(name).split(/[\s@_-]+/u) : []));
  return fold(words)
    .split(/[\s@]+/u)
    .filter(Boolean)
    .every((word) => parts.some((part) => part.startsWith(word)));
}
