/** What is cached of the account besides conversations: profile, settings, friends, blocks, and the profiles of others. */
import type { Environment } from "../api.js";
import { failure } from "../failure.js";
import type { Api } from "../http/api.js";
import { type AccountPart, type Friends, type Profile, type Profiles, USERS_PER_QUESTION, type UserId } from "../protocol/index.js";
import type { Database } from "../storage/database.js";
import type { CoreEvent, Values } from "./messages.js";

/** A profile asked for this lately is not asked for again, in milliseconds. */
const FRESH_MS = 600_000;
/** Most profiles that are waited for. */
const WANTED = 10_000;

const names = ["me", "settings", "friends", "blocks"] as const;
type Name = (typeof names)[number];

const paths: Record<Name, string> = { me: "/v1/profile", settings: "/v1/settings", friends: "/v1/friends", blocks: "/v1/blocks" };
const parts: Partial<Record<AccountPart, Name>> = { profile: "me", settings: "settings", friends: "friends", blocks: "blocks" };

/** Keeps what is cached true. */
export class ValueKeeper {
  values: Values = {};
  private readonly fresh = new Map<UserId, number>();
  private readonly wanted = new Set<UserId>();
  private asking = false;
  /** How often each value was asked for or changed: an answer that is overtaken by a later one is not kept. */
  private readonly turns: Record<Name, number> = { me: 0, settings: 0, friends: 0, blocks: 0 };

  constructor(
    private readonly environment: Environment,
    private readonly database: Database,
    private readonly api: Api,
    private readonly emit: (events: readonly CoreEvent[]) => void,
  ) {}

  /** What was stored last. */
  async load(): Promise<void> {
    for (const name of names) {
      const value = await this.database.get("values", name);
      if (value !== undefined) this.values = { ...this.values, [name]: value };
    }
  }

  /** Asks for what changed on another device. */
  changed(part: AccountPart): void {
    const name = parts[part];
    if (name !== undefined) void this.refresh(name);
  }

  /** Asks for everything: it may have changed while there was no session. */
  refreshAll(): void {
    for (const name of names) void this.refresh(name);
  }

  /** Takes note of what a request of the application changed. */
  async after(method: string, path: string, answer: unknown): Promise<void> {
    if (method === "GET") return;
    const name = names.find((one) => path.startsWith(paths[one]));
    if (name === undefined) return;
    if (method === "PATCH") await this.set(name, answer as Values[Name], this.turn(name));
    else await this.refresh(name);
    // Blocking ends a friendship.
    if (name === "blocks") await this.refresh("friends");
  }

  /** Asks for one of them. Failing is no matter: the next session asks again. */
  async refresh(name: Name): Promise<void> {
    const turn = this.turn(name);
    try {
      await this.set(name, await this.api.get(paths[name]), turn);
    } catch (error) {
      if (!failure(error).isTransient && failure(error).code === "signed_out") this.values = {};
    }
  }

  /** Asks for profiles, many at once; those that were asked for lately are left out. */
  want(users: readonly UserId[]): void {
    const since = this.environment.now() - FRESH_MS;
    for (const user of users) if ((this.fresh.get(user) ?? 0) < since && this.wanted.size < WANTED) this.wanted.add(user);
    if (!this.asking) void this.askForProfiles();
  }

  private async askForProfiles(): Promise<void> {
    this.asking = true;
    try {
      // What is wanted in the same turn is asked for together.
      await Promise.resolve();
      while (this.wanted.size > 0) {
        const users = [...this.wanted].slice(0, USERS_PER_QUESTION);
        const { users: profiles } = await this.api.get<Profiles>(`/v1/users?ids=${users.join(",")}`);
        for (const user of users) this.wanted.delete(user);
        await this.keep(profiles);
      }
    } catch {
      // They are wanted again when somebody looks again, or with the next session.
      this.wanted.clear();
    } finally {
      this.asking = false;
    }
  }

  private turn(name: Name): number {
    this.turns[name] += 1;
    return this.turns[name];
  }

  private async set<One extends Name>(name: One, value: Values[One], turn: number): Promise<void> {
    if (turn !== this.turns[name]) return;
    this.values = { ...this.values, [name]: value };
    await this.database.put("values", value, name);
    this.emit([{ type: "values", values: this.values }]);
    if (name === "me") await this.keep([value as Profile]);
    if (name === "friends") {
      const { friends, incoming, outgoing } = value as Friends;
      await this.keep([...friends, ...incoming, ...outgoing]);
    }
  }

  /** Stores profiles and tells of them. */
  async keep(profiles: readonly Profile[]): Promise<void> {
    const now = this.environment.now();
    const transaction = this.database.transaction("profiles", "readwrite");
    for (const profile of profiles) {
      this.fresh.set(profile.user, now);
      void transaction.store.put(profile);
    }
    await transaction.done;
    if (profiles.length > 0) this.emit([{ type: "profiles", profiles }]);
  }
}
