/** The model's rules in TypeScript against the answers of the Rust ones. */
import { describe, expect, test } from "vitest";
import type { Refusal } from "../src/api.js";
import { amend } from "../src/model/amend.js";
import { compareConversations, directBetween, peerOf } from "../src/model/conversation_id.js";
import { findMentions, mentionAt } from "../src/model/mention.js";
import { changeRoster, emptyRoster, mayRemove, type Roster } from "../src/model/roster.js";
import * as text from "../src/model/text.js";
import type { Event, Role } from "../src/protocol/index.js";
import { model } from "./vectors.js";

type Checked = Refusal | null;

describe("texts and names", () => {
  const cases = model<{
    text: string;
    times: number;
    characters: number;
    first_5: string;
    text_check: Checked;
    title: Checked;
    display_name: Checked;
    about: Checked;
    password: Checked;
  }>("texts");
  test.each(cases)("$text x $times", (one) => {
    const whole = one.text.repeat(one.times);
    expect(text.countCharacters(whole)).toBe(one.characters);
    expect(text.firstCharacters(whole, 5)).toBe(one.first_5);
    expect(text.checkText(whole) ?? null).toEqual(one.text_check);
    expect(text.checkTitle(whole) ?? null).toEqual(one.title);
    expect(text.checkDisplayName(whole) ?? null).toEqual(one.display_name);
    expect(text.checkAbout(whole) ?? null).toEqual(one.about);
    expect(text.checkPassword(whole) ?? null).toEqual(one.password);
  });

  test("handles", () => {
    for (const one of model<{ text: string; handle: string | null }>("handles")) {
      expect(text.normaliseHandle(one.text) ?? null, one.text).toBe(one.handle);
      expect(text.checkHandle(one.text) === undefined).toBe(one.handle !== null);
    }
  });

  test("reactions", () => {
    for (const one of model<{ text: string; refusal: Checked }>("reactions")) {
      expect(text.checkReaction(one.text) ?? null, one.text).toEqual(one.refusal);
    }
  });
});

describe("mentions", () => {
  const cases = model<{ text: string; found: { handle: string; start: number; length: number }[] }>("mentions");
  test.each(cases)("$text", (one) => {
    const expected = one.found.map((found) => ({ ...found, start: text.utf16Offset(one.text, found.start) }));
    expect(findMentions(one.text)).toEqual(expected);
  });

  test("completion begins at an @ that joins nothing", () => {
    expect(mentionAt("hi @Ad", 6)).toEqual({ prefix: "ad", start: 3 });
    expect(mentionAt("hi @", 4)).toEqual({ prefix: "", start: 3 });
    expect(mentionAt("ada@ex", 6)).toBeUndefined();
    expect(mentionAt("hi @ada x", 9)).toBeUndefined();
  });
});

test("conversations have the model's order and members", () => {
  const cases = model<{ id: string; peer_of_9: string | null }>("conversations");
  const ids = cases.map((one) => one.id);
  expect([...ids].reverse().sort(compareConversations)).toEqual(ids);
  for (const one of cases) {
    expect(peerOf(one.id, "9") ?? null, one.id).toBe(one.peer_of_9);
    if (one.peer_of_9 !== null) expect(directBetween("9", one.peer_of_9)).toBe(one.id);
  }
});

test("amendments", () => {
  for (const one of model<{ message: Event; steps: { event: Event; changed: boolean; message: Event }[] }>("amendments")) {
    let message = one.message;
    for (const step of one.steps) {
      const before = structuredClone(message);
      const amended = amend(message, step.event);
      expect(message, "the one given is not changed").toEqual(before);
      expect(amended !== undefined).toBe(step.changed);
      message = amended ?? message;
      expect(message).toEqual(step.message);
    }
  }
});

test("rosters", () => {
  for (const one of model<{ event: Event; roster: Roster }[]>("rosters")) {
    let roster = emptyRoster();
    for (const step of one) {
      roster = changeRoster(roster, step.event);
      expect(roster).toEqual(step.roster);
    }
  }
});

test("who may put out whom", () => {
  const cases = model<{ has: Role; other: Role; may: boolean }>("removals");
  for (const one of cases) expect(mayRemove(one.has, one.other), `${one.has} ${one.other}`).toBe(one.may);
});
