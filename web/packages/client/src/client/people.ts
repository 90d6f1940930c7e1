/** People as the face of a tab knows them: profiles, presence, friends, blocks. */
import type { Friends, Friendship, Observable, Presence, Profile, Settings } from "../api.js";
import { Cell } from "../cell.js";
import type { Values } from "../core/messages.js";
import type * as wire from "../protocol/index.js";
import { USERS_PER_QUESTION, type UserId, type UserPresence } from "../protocol/index.js";
import type { Database } from "../storage/database.js";

const UNKNOWN: Presence = { state: "unknown" };
const NOBODY: Friends = { friends: [], incoming: [], outgoing: [] };
/** Most people that a completion offers. */
const OFFERED = 20;

/** A profile as applications see it. */
export function profileOf({ user, handle, display_name, about, deleted }: wire.Profile): Profile {
  return { user, ...(handle === undefined ? {} : { handle }), displayName: display_name, about, deleted };
}

/** See the module. */
export class People {
  readonly me = new Cell<Profile | undefined>(undefined);
  readonly settings = new Cell<Settings | undefined>(undefined);
  readonly friends = new Cell<Friends>(NOBODY);
  readonly blocked = new Cell<readonly Profile[]>([]);
  private readonly profiles = new Map<UserId, Cell<Profile | undefined>>();
  private readonly presences = new Map<UserId, Cell<Presence>>();
  private readonly watched = new Set<UserId>();
  private wanted: UserId[] = [];
  private telling = false;

  /** `ask` wants profiles, `watch` the presence of these users and of no others. */
  constructor(
    private readonly database: Database,
    private readonly ask: (users: readonly UserId[]) => void,
    private readonly watch: (users: readonly UserId[]) => void,
  ) {}

  profile(user: UserId): Observable<Profile | undefined> {
    const known = this.profiles.get(user);
    if (known !== undefined) return known;
    const cell = new Cell<Profile | undefined>(undefined);
    this.profiles.set(user, cell);
    void this.load(user, cell);
    return cell;
  }

  presence(user: UserId): Observable<Presence> {
    const known = this.presences.get(user);
    if (known !== undefined) return known;
    const cell = new Cell<Presence>(UNKNOWN, (watched) => {
      if (watched) this.watched.add(user);
      else this.watched.delete(user);
      this.tellSoon();
    });
    this.presences.set(user, cell);
    return cell;
  }

  friendship(user: UserId): Friendship {
    const { friends, incoming, outgoing } = this.friends.value;
    const is = (list: readonly Profile[]) => list.some((profile) => profile.user === user);
    return is(friends) ? "friends" : is(incoming) ? "asked_me" : is(outgoing) ? "requested" : "none";
  }

  searchKnown(prefix: string): readonly Profile[] {
    const wanted = prefix.replace(/^@/, "").toLocaleLowerCase();
    const friends = new Set(this.friends.value.friends.map((profile) => profile.user));
    const all = [...this.profiles.values()].flatMap((cell) => cell.value ?? []);
    const fits = all.filter(
      ({ handle, displayName, deleted }) => !deleted && (handle?.startsWith(wanted) || displayName.toLocaleLowerCase().startsWith(wanted)),
    );
    const rank = ({ user }: Profile) => (friends.has(user) ? 0 : 1);
    return fits.sort((a, b) => rank(a) - rank(b) || (a.handle ?? "").localeCompare(b.handle ?? "")).slice(0, OFFERED);
  }

  takeProfiles(profiles: readonly wire.Profile[]): void {
    for (const profile of profiles) {
      const cell = this.profiles.get(profile.user);
      if (cell === undefined) this.profiles.set(profile.user, new Cell<Profile | undefined>(profileOf(profile)));
      else if (!sameProfile(cell.value, profile)) cell.set(profileOf(profile));
    }
  }

  takeValues({ me, settings, friends, blocks }: Values): void {
    if (me !== undefined) this.me.set(profileOf(me));
    if (settings !== undefined) {
      this.settings.set({ presence: settings.presence, writers: settings.writers, readReceipts: settings.read_receipts });
    }
    if (friends !== undefined) {
      const { friends: accepted, incoming, outgoing } = friends;
      this.friends.set({ friends: accepted.map(profileOf), incoming: incoming.map(profileOf), outgoing: outgoing.map(profileOf) });
      this.takeProfiles([...accepted, ...incoming, ...outgoing]);
    }
    if (blocks !== undefined) this.blocked.set(blocks.users.map(profileOf));
  }

  takePresence({ user, state, last_seen }: UserPresence): void {
    const presence: Presence = last_seen === undefined ? { state } : { state, lastSeen: last_seen };
    const cell = this.presences.get(user) ?? (this.presence(user) as Cell<Presence>);
    cell.set(presence);
  }

  /** Without a session nothing is known. */
  forgetPresence(): void {
    for (const cell of this.presences.values()) cell.set(UNKNOWN);
  }

  /** A new core knows nothing of what is watched and wanted. */
  resume(): void {
    this.told = "";
    this.tellSoon();
    const unknown = [...this.profiles].filter(([, cell]) => cell.value === undefined).map(([user]) => user);
    if (unknown.length > 0) this.ask(unknown);
  }

  /** Somebody else is logged in. */
  clear(): void {
    for (const cell of this.profiles.values()) cell.set(undefined);
    this.profiles.clear();
    this.forgetPresence();
    this.me.set(undefined);
    this.settings.set(undefined);
    this.friends.set(NOBODY);
    this.blocked.set([]);
  }

  private async load(user: UserId, cell: Cell<Profile | undefined>): Promise<void> {
    const stored = await this.database.get("profiles", user).catch(() => undefined);
    if (stored !== undefined && cell.value === undefined) cell.set(profileOf(stored));
    this.wanted.push(user);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (this.telling) return;
    this.telling = true;
    // What changes in the same turn is told together.
    setTimeout(() => {
      this.telling = false;
      const wanted = this.wanted;
      this.wanted = [];
      if (wanted.length > 0) this.ask(wanted);
      const watched = [...this.watched].slice(0, USERS_PER_QUESTION);
      if (watched.join() !== this.told) this.watch(watched);
      this.told = watched.join();
    }, 0);
  }

  private told = "";
}

function sameProfile(known: Profile | undefined, profile: wire.Profile): boolean {
  return (
    known !== undefined &&
    known.handle === profile.handle &&
    known.displayName === profile.display_name &&
    known.about === profile.about &&
    known.deleted === profile.deleted
  );
}
