/**
 * Where the user is. The place is in the hash (`#/c/d.1.2`), so that the page works below any path and offline, and the phone's back
 * button returns to the list.
 */

export type Route =
  | { at: 'list' }
  | { at: 'conversation'; id: string; seq?: number }
  /** The screens below `src/screens`: `path` is what follows their name. */
  | { at: 'screen'; screen: ScreenName; path: string[] };

export const SCREENS = ['people', 'groups', 'settings'] as const;
export type ScreenName = (typeof SCREENS)[number];

/** The route that a hash names; the list for what names none. */
export function parse(hash: string): Route {
  const [first = '', ...rest] = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .filter(Boolean)
    .map(decode);
  if (first === 'c' && rest[0] !== undefined) {
    const seq = Number(rest[1]);
    return { at: 'conversation', id: rest[0], ...(Number.isSafeInteger(seq) && seq > 0 ? { seq } : {}) };
  }
  const screen = SCREENS.find((name) => name === first);
  return screen ? { at: 'screen', screen, path: rest } : { at: 'list' };
}

/** What a malformed escape says is itself. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The hash of a route, for links. */
export function href(...parts: (string | number)[]): string {
  return '#/' + parts.map((part) => encodeURIComponent(part)).join('/');
}

/** The link to a conversation, and to one of its messages. */
export const toConversation = (id: string, seq?: number): string => (seq === undefined ? href('c', id) : href('c', id, seq));

class Router {
  route = $state.raw<Route>({ at: 'list' });
  /** How many places of ours are behind this one in the browser's history. */
  #depth = 0;

  start(): void {
    this.#depth = (history.state as { depth?: number } | null)?.depth ?? 0;
    this.route = parse(location.hash);
    addEventListener('popstate', () => {
      const state = history.state as { depth?: number } | null;
      if (state?.depth === undefined) history.replaceState({ depth: (this.#depth += 1) }, '');
      else this.#depth = state.depth;
      this.route = parse(location.hash);
    });
  }

  /** Goes there. `replace` leaves no trace of the place before. */
  go(to: string, { replace = false } = {}): void {
    if (to === location.hash && !replace) return;
    if (!replace) this.#depth += 1;
    history[replace ? 'replaceState' : 'pushState']({ depth: this.#depth }, '', to);
    this.route = parse(to);
  }

  /** Back to where the user came from; to `otherwise` if they came here first. */
  back(otherwise = '#/'): void {
    if (this.#depth > 0) history.back();
    else this.go(otherwise, { replace: true });
  }
}

export const router = new Router();
