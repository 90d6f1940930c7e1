/**
 * The rules of banter's model that a user interface needs before it sends: the same answers as the server gives, checked against vectors
 * that the model made.
 */
import * as protocol from "./protocol/index.js";

export { findMentions, type MentionCandidate, mentionAt } from "./model/mention.js";
export {
  checkAbout,
  checkDisplayName,
  checkHandle,
  checkPassword,
  checkReaction,
  checkText,
  checkTitle,
  countCharacters,
  normaliseHandle,
} from "./model/text.js";

/** Limits of texts, names and pages, generated from the server's. */
export const limits = {
  TEXT_CHARACTERS: protocol.TEXT_CHARACTERS,
  TITLE_CHARACTERS: protocol.TITLE_CHARACTERS,
  DISPLAY_NAME_CHARACTERS: protocol.DISPLAY_NAME_CHARACTERS,
  ABOUT_CHARACTERS: protocol.ABOUT_CHARACTERS,
  HANDLE_MIN_CHARACTERS: protocol.HANDLE_MIN_CHARACTERS,
  HANDLE_MAX_CHARACTERS: protocol.HANDLE_MAX_CHARACTERS,
  PASSWORD_MIN_CHARACTERS: protocol.PASSWORD_MIN_CHARACTERS,
  PASSWORD_MAX_BYTES: protocol.PASSWORD_MAX_BYTES,
  REACTION_BYTES: protocol.REACTION_BYTES,
  GROUP_MEMBERS: protocol.GROUP_MEMBERS,
  PAGE_EVENTS: protocol.PAGE_EVENTS,
  MENTIONS_PER_MESSAGE: protocol.MENTIONS_PER_MESSAGE,
} as const;
