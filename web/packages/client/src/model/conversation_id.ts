/** Names of conversations: `d.<lower user>.<higher user>`, `g.<group>`. Mirrors `banter_model::ConversationId`. */
import type { ConversationId, UserId } from "../protocol/index.js";

/** Orders decimal ids by their number. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Orders conversations as the model does: direct ones first, by their users, then groups. */
export function compareConversations(a: ConversationId, b: ConversationId): number {
  if (a === b) return 0;
  const [aParts, bParts] = [a.split("."), b.split(".")];
  if (aParts[0] !== bParts[0]) return aParts[0] === "d" ? -1 : 1;
  return compareIds(aParts[1] ?? "", bParts[1] ?? "") || compareIds(aParts[2] ?? "", bParts[2] ?? "");
}

/** Is this the conversation of two people rather than of a group? */
export function isDirect(id: ConversationId): boolean {
  return id.startsWith("d.");
}

/** The other member of a direct conversation of `user`; `undefined` when it is a group or somebody else's. */
export function peerOf(id: ConversationId, user: UserId): UserId | undefined {
  if (!isDirect(id)) return undefined;
  const [, low, high] = id.split(".");
  return low === user ? high : high === user ? low : undefined;
}

/** The direct conversation of two different users; `undefined` for a user with themself. */
export function directBetween(one: UserId, other: UserId): ConversationId | undefined {
  if (one === other) return undefined;
  const [low, high] = compareIds(one, other) < 0 ? [one, other] : [other, one];
  return `d.${low}.${high}`;
}

/** The id of a group, for the API's paths; `undefined` for a direct conversation. */
export function groupOf(id: ConversationId): string | undefined {
  return id.startsWith("g.") ? id.slice(2) : undefined;
}
