/** Edits, redactions and reactions: what an event does to the message that it is about. Mirrors `banter_model::amend`. */
import { type Content, type Event, REACTION_EMOJI_PER_MESSAGE, type Seq } from "../protocol/index.js";

type MessageContent = Extract<Content, { kind: "message" }>;

/** The message that `content` amends. */
export function targetOf(content: Content): Seq | undefined {
  return content.kind === "edit" || content.kind === "redaction" || content.kind === "reaction" ? content.target : undefined;
}

/**
 * `message` with `event` applied to it; `undefined` when that changes nothing: it is about something else, or the message shows it already.
 * Neither is changed.
 */
export function amend(message: Event, event: Event): Event | undefined {
  const shown = message.content;
  if (targetOf(event.content) !== message.seq || event.seq <= message.seq || shown.kind !== "message") return undefined;
  if (event.seq <= (shown.amended_up_to ?? 0)) return undefined;
  const content: MessageContent = { ...shown, amended_up_to: event.seq };
  if (!shown.redacted) change(content, event);
  return { ...message, content };
}

function change(content: MessageContent, event: Event): void {
  const by = event.content;
  if (by.kind === "edit") {
    // An edit read back after its message was redacted has no text left.
    if (by.text === "") return;
    content.text = by.text;
    setList(content, "mentions", by.mentions ?? []);
    content.edited_at = event.at;
  } else if (by.kind === "redaction") {
    content.text = "";
    delete content.mentions;
    delete content.reactions;
    // Who reads an edit after the redaction does not see that it was one: both are to show the same.
    delete content.edited_at;
    content.redacted = true;
  } else if (by.kind === "reaction") {
    setList(content, "reactions", react(content.reactions ?? [], event.sender, by.emoji, by.added));
  }
}

/** Lists that are empty are left out, as they are on the wire. */
function setList<Key extends "mentions" | "reactions">(content: MessageContent, key: Key, list: NonNullable<MessageContent[Key]>): void {
  if (list.length > 0) content[key] = list as MessageContent[Key];
  else delete content[key];
}

type ReactionList = NonNullable<MessageContent["reactions"]>;

/** `reactions` with one put there or taken away. */
export function react(reactions: ReactionList, sender: string, emoji: string, added: boolean): ReactionList {
  const index = reactions.findIndex((reaction) => reaction.emoji === emoji);
  const found = reactions[index];
  if (added) {
    if (found === undefined) {
      return reactions.length < REACTION_EMOJI_PER_MESSAGE ? [...reactions, { emoji, users: [sender] }] : reactions;
    }
    if (found.users.includes(sender)) return reactions;
    return reactions.with(index, { emoji, users: [...found.users, sender] });
  }
  if (found === undefined) return reactions;
  const users = found.users.filter((user) => user !== sender);
  return users.length > 0 ? reactions.with(index, { emoji, users }) : reactions.toSpliced(index, 1);
}

/** Takes the text out of a stored edit whose message was redacted; `undefined` when it is no edit. */
export function redactEdit(event: Event): Event | undefined {
  if (event.content.kind !== "edit") return undefined;
  return { ...event, content: { kind: "edit", target: event.content.target, text: "" } };
}
