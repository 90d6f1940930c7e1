/** What texts and names may hold. Mirrors `banter_model::text` and `banter_model::name`. */
import type { Refusal } from "../api.js";
import * as protocol from "../protocol/index.js";

const WHITE_SPACE_ONLY = /^\p{White_Space}*$/u;
/** Control characters other than tab, line feed and carriage return. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;
const CONTROL = /\p{Cc}/u;
const STRANGE_IN_EMOJI = /[\p{Cc}\p{White_Space}\p{Alphabetic}]/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them
const ASCII = /^[\u0000-\u007f]*$/;
const HANDLE = new RegExp(`^[a-z][a-z0-9_]{${protocol.HANDLE_MIN_CHARACTERS - 1},${protocol.HANDLE_MAX_CHARACTERS - 1}}$`);
const encoder = new TextEncoder();

/** How many characters (Unicode scalar values) a text has. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    if (isHigh(text.charCodeAt(index)) && isLow(text.charCodeAt(index + 1))) {
      count -= 1;
      index += 1;
    }
  }
  return count;
}

/** The first `most` characters of a text. */
export function firstCharacters(text: string, most: number): string {
  if (text.length <= most) return text;
  return text.slice(0, utf16Offset(text, most));
}

/** Where the character with number `characters` begins, in UTF-16 units; the text's length when it has fewer. */
export function utf16Offset(text: string, characters: number): number {
  let offset = 0;
  for (let count = 0; count < characters && offset < text.length; count += 1) {
    offset += isHigh(text.charCodeAt(offset)) && isLow(text.charCodeAt(offset + 1)) ? 2 : 1;
  }
  return offset;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/** A refusal with its sentence. `found` goes where the sentence names a number. */
export function refusal(code: keyof typeof protocol.refusals, found = ""): Refusal {
  return { code, message: protocol.refusals[code].replace("{}", found) };
}

/** What is wrong with a message's text; `undefined` if nothing. */
export function checkText(text: string): Refusal | undefined {
  // A text with fewer UTF-16 units than the limit cannot have more characters: the common case needs no count.
  if (text.length > protocol.TEXT_CHARACTERS) {
    const characters = countCharacters(text);
    if (characters > protocol.TEXT_CHARACTERS) return refusal("text_too_long", String(characters));
  }
  if (WHITE_SPACE_ONLY.test(text)) return refusal("text_empty");
  const control = FORBIDDEN.exec(text)?.[0];
  if (control !== undefined) {
    return refusal("control_character", control.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0"));
  }
  return undefined;
}

function isLine(text: string, most: number): boolean {
  return !WHITE_SPACE_ONLY.test(text) && countCharacters(text) <= most && !CONTROL.test(text);
}

/** What is wrong with a group's title. */
export function checkTitle(title: string): Refusal | undefined {
  return isLine(title, protocol.TITLE_CHARACTERS) ? undefined : refusal("invalid_title");
}

/** What is wrong with a display name. */
export function checkDisplayName(name: string): Refusal | undefined {
  return isLine(name, protocol.DISPLAY_NAME_CHARACTERS) ? undefined : refusal("invalid_display_name");
}

/** What is wrong with an "about" line; it may be empty. */
export function checkAbout(about: string): Refusal | undefined {
  const fits = countCharacters(about) <= protocol.ABOUT_CHARACTERS && !FORBIDDEN.test(about);
  return fits ? undefined : refusal("invalid_about");
}

/** What is wrong with a new password. */
export function checkPassword(password: string): Refusal | undefined {
  const characters = countCharacters(password);
  const fits = characters >= protocol.PASSWORD_MIN_CHARACTERS && encoder.encode(password).length <= protocol.PASSWORD_MAX_BYTES;
  return fits ? undefined : refusal("invalid_password");
}

/** What is wrong with the emoji of a reaction. */
export function checkReaction(emoji: string): Refusal | undefined {
  const fits =
    emoji !== "" && encoder.encode(emoji).length <= protocol.REACTION_BYTES && !ASCII.test(emoji) && !STRANGE_IN_EMOJI.test(emoji);
  return fits ? undefined : refusal("invalid_reaction");
}

/** The one spelling of a handle; `undefined` when it is none. Takes upper case and a leading `@`. */
export function normaliseHandle(text: string): string | undefined {
  const plain = text.startsWith("@") ? text.slice(1) : text;
  // ASCII alone: other letters have lower cases that are ASCII (the Kelvin sign is one).
  const handle = plain.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return HANDLE.test(handle) ? handle : undefined;
}

/** What is wrong with a handle. */
export function checkHandle(handle: string): Refusal | undefined {
  return normaliseHandle(handle) === undefined ? refusal("invalid_handle") : undefined;
}
