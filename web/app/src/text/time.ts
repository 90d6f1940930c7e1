/** Times as people read them. All take the language, so that a change of language is seen. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language} ${name}`;
  let kept = formats.get(key);
  if (!kept) formats.set(key, (kept = new Intl.DateTimeFormat(language, options)));
  return kept;
}

/** The day of `at` in the reader's time zone, as a number that is equal for equal days and grows by one each day. */
export function dayNumber(at: number): number {
  const date = new Date(at);
  return Math.floor(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

/** `14:05`. */
export function clock(at: number, language: string): string {
  return format(language, 'clock', { hour: 'numeric', minute: '2-digit' }).format(at);
}

/** `today`, `yesterday`, a weekday within the last week, else a date. */
export function day(at: number, now: number, language: string): string {
  const ago = dayNumber(now) - dayNumber(at);
  if (ago === 0 || ago === 1) {
    const word = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-ago, 'day');
    return word.charAt(0).toLocaleUpperCase(language) + word.slice(1);
  }
  if (ago > 1 && ago < 7) return format(language, 'weekday', { weekday: 'long' }).format(at);
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return sameYear
    ? format(language, 'day', { day: 'numeric', month: 'long' }).format(at)
    : format(language, 'day and year', { day: 'numeric', month: 'long', year: 'numeric' }).format(at);
}

/** The short time of a list: a clock today, a day before that. */
export function brief(at: number, now: number, language: string): string {
  const ago = dayNumber(now) - dayNumber(at);
  if (ago <= 0) return clock(at, language);
  if (ago < 7) return ago === 1 ? day(at, now, language) : format(language, 'short weekday', { weekday: 'short' }).format(at);
  return format(language, 'brief', { day: 'numeric', month: 'numeric', year: '2-digit' }).format(at);
}

/** The whole of it, for a tooltip. */
export function whole(at: number, language: string): string {
  return format(language, 'whole', { dateStyle: 'full', timeStyle: 'short' }).format(at);
}
