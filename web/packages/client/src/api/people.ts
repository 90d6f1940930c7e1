/** Users, friends, presence, settings. */
import type { Millis, UserId } from "./basics.js";

/** A user as others see them. */
export interface Profile {
  readonly user: UserId;
  /** Absent for a deleted user. */
  readonly handle?: string;
  readonly displayName: string;
  /** A line about them; may be empty. */
  readonly about: string;
  readonly deleted: boolean;
}

/** What is known of somebody's presence. */
export interface Presence {
  /** `unknown` until the server has said something in this session. */
  readonly state: "online" | "offline" | "hidden" | "unknown";
  /** When they were last online; only when offline and known. */
  readonly lastSeen?: Millis;
}

/** Friends and requests. */
export interface Friends {
  readonly friends: readonly Profile[];
  /** Users who asked and wait for an answer. */
  readonly incoming: readonly Profile[];
  /** Users who were asked. */
  readonly outgoing: readonly Profile[];
}

/** What two users are to each other. */
export type Friendship = "none" | "requested" | "asked_me" | "friends";

/** The user's settings. */
export interface Settings {
  /** Who sees whether one is online, and when last. */
  readonly presence: "everyone" | "friends" | "nobody";
  /** Who may write first, and add one to groups. */
  readonly writers: "everyone" | "friends";
  /** Do others see how far one has read? Off also hides it of others. */
  readonly readReceipts: boolean;
}
