/**
 * The rules of banter's model that a user interface needs before it sends: the same answers as the server gives, checked against vectors
 * that the model made.
 */
import type { Refusal } from "./api.js";

/** Limits of texts, names and pages, generated from the server's. */
export declare const limits: Readonly<Record<
  | "TEXT_CHARACTERS" | "TITLE_CHARACTERS" | "DISPLAY_NAME_CHARACTERS" | "ABOUT_CHARACTERS" | "HANDLE_MIN_CHARACTERS" | "HANDLE_MAX_CHARACTERS"
  | "PASSWORD_MIN_CHARACTERS" | "PASSWORD_MAX_BYTES" | "REACTION_BYTES" | "GROUP_MEMBERS" | "PAGE_EVENTS" | "MENTIONS_PER_MESSAGE", number>>;

/** How many characters (Unicode scalar values) a text has. */
export declare function countCharacters(text: string): number;
/** What is wrong with a message's text; `undefined` if nothing. */
export declare function checkText(text: string): Refusal | undefined;
export declare function checkTitle(title: string): Refusal | undefined;
export declare function checkDisplayName(name: string): Refusal | undefined;
export declare function checkAbout(about: string): Refusal | undefined;
export declare function checkHandle(handle: string): Refusal | undefined;
export declare function checkPassword(password: string): Refusal | undefined;
export declare function checkReaction(emoji: string): Refusal | undefined;

/** An `@handle` in a text. Places are in UTF-16 units. */
export interface MentionCandidate {
  /** In lower case, without the `@`. */
  readonly handle: string;
  readonly start: number;
  readonly length: number;
}
/** What may be mentions in a text: for showing them while somebody writes. */
export declare function findMentions(text: string): readonly MentionCandidate[];
/** The `@pre` that the caret (UTF-16 units) stands in or behind, for completion; `undefined` if none. */
export declare function mentionAt(text: string, caret: number): { readonly prefix: string; readonly start: number } | undefined;
