/** Pages of history: from this device where it has them, else from the server. Mirrors `crates/client/src/client/history.rs`. */
import type { Connection } from "../api.js";
import { failure } from "../failure.js";
import type { Event, Page } from "../protocol/index.js";
import type { Database } from "../storage/database.js";
import { events, whole } from "../storage/read.js";
import type { Window } from "../sync/effect.js";
import { Ranges } from "../sync/ranges.js";
import type { StoredConversation } from "../sync/state.js";

/** A stretch of a log. */
export interface Stretch {
  readonly events: readonly Event[];
  readonly from: number;
  readonly to: number;
  /** Is it only what this device has, since the server does not answer? */
  readonly offline: boolean;
}

/** What pages are made from. */
export interface Sources {
  readonly database: Database;
  readonly connection: Connection;
  readonly stored: StoredConversation;
  /** Asks the server, and stores the answer. */
  fetch(window: Window, limit: number): Promise<Page>;
}

/** A stretch of at most `limit` places. Without the server, what is on this device is returned, if there is anything. */
export async function stretch(sources: Sources, window: Window, limit: number): Promise<Stretch> {
  const { database, connection, stored } = sources;
  const trusted = connection.state !== "online" || connection.synced;
  const here = await read(sources, covered(stored, window, limit, trusted), false);
  if (here !== undefined) return here;
  try {
    const page = await sources.fetch(window, limit);
    // As stored: amendments that were told meanwhile are in it.
    const kept = await events(database, stored.id, page.from, page.to, Math.max(page.events.length, 1));
    const all = kept.length === page.events.length && kept.every((event, index) => event.seq === page.events[index]?.seq);
    return { events: all ? kept : page.events, from: page.from, to: page.to, offline: false };
  } catch (error) {
    const part = failure(error).isTransient ? await read(sources, partly(stored, window, limit), true) : undefined;
    if (part === undefined) throw error;
    return part;
  }
}

async function read({ database, stored }: Sources, places: Places | undefined, offline: boolean): Promise<Stretch | undefined> {
  if (places === undefined) return undefined;
  const [from, to] = places;
  const events = await whole(database, stored.id, from, to);
  return events === undefined ? undefined : { events, from, to, offline };
}

type Places = readonly [number, number];

/** The places that make up the window, if all are stored. `trusted`: is what is known of the log's end current? */
export function covered(stored: StoredConversation, window: Window, limit: number, trusted: boolean): Places | undefined {
  const end = stored.reaches;
  const [asked, until] = places(stored, window, limit);
  const [from, to] = [Math.max(asked, stored.first_seq, 1), Math.min(until, end)];
  const needsEnd = to === end && window.type !== "before";
  if (to < from || (needsEnd && !trusted)) return undefined;
  return new Ranges(stored.known).cover(from, to) ? [from, to] : undefined;
}

/** The stored places of the window that are nearest to where it was asked. */
export function partly(stored: StoredConversation, window: Window, limit: number): Places | undefined {
  const known = new Ranges(stored.known);
  const last = known.last();
  if (window.type === "newest") return last === undefined ? undefined : [Math.max(last[0], last[1] + 1 - limit), last[1]];
  const nearest = window.type === "after" ? window.seq + 1 : window.type === "before" ? window.seq - 1 : window.seq;
  const around = known.around(nearest);
  if (around === undefined) return undefined;
  const [asked, until] = places(stored, window, limit);
  const [from, to] = [Math.max(asked, around[0]), Math.min(until, around[1])];
  return to < from ? undefined : [from, to];
}

function places(stored: StoredConversation, window: Window, limit: number): Places {
  switch (window.type) {
    case "newest":
      return [stored.reaches + 1 - limit, stored.reaches];
    case "after":
      return [window.seq + 1, window.seq + limit];
    case "before":
      return [window.seq - limit, window.seq - 1];
    case "around":
      return [window.seq + 1 - Math.ceil(limit / 2), window.seq + Math.floor(limit / 2)];
  }
}
