import { fileURLToPath } from 'node:url';

/** What is measured, and how much of it. Each is set by an environment variable, as `FIGURES_MESSAGES=5000`. */
export const options = {
  /** Messages in the conversation that is scrolled through. */
  messages: number('FIGURES_MESSAGES', 1_000_000),
  /** Conversations in the list. */
  conversations: number('FIGURES_CONVERSATIONS', 200),
  /** How often a page is opened; the median counts. */
  visits: number('FIGURES_VISITS', 5),
  /** Pixels scrolled up from the newest message. */
  scrolled_px: number('FIGURES_SCROLLED_PX', 100_000),
  /** Pixels a second, at which a person reads nothing any more but sees that messages pass. */
  scrolled_px_per_second: number('FIGURES_SCROLLED_PX_PER_SECOND', 4_000),
  /** Messages that arrive while their conversation is open. */
  received: number('FIGURES_RECEIVED', 10_000),
  /** How many of them are sent a second. */
  received_per_second: number('FIGURES_RECEIVED_PER_SECOND', 500),
  /** Frames that one session has unanswered while the conversation is filled. */
  window: number('FIGURES_WINDOW', 256),
};

/** Where the figures are written. */
export const FILE = process.env['FIGURES_FILE'] ?? fileURLToPath(new URL('../../../../docs/figures/web.json', import.meta.url));

function number(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} is no number above 0`);
  return value;
}
