/** The vectors that the Rust engine and model made (`crates/client/vectors`). */
import { readFileSync } from "node:fs";
import type { ConversationId, Event } from "../src/protocol/index.js";
import type { Action, Effect, Input } from "../src/sync/effect.js";

const folder = new URL("../../../../crates/client/vectors/", import.meta.url);

export interface Step {
  readonly start?: true;
  readonly now?: number;
  readonly input?: Input;
  readonly queue?: { readonly conversation: ConversationId; readonly action: Action };
  readonly queued?: { readonly tag: number } | { readonly code: string; readonly message: string };
  readonly effects: readonly VectorEffect[];
  readonly deadline: number | null;
}

/** As {@link Effect}, but of a stored conversation only what differs from the last time is there. */
export type VectorEffect =
  | Exclude<Effect, { type: "write" }>
  | { readonly type: "write"; readonly write: { readonly type: string; readonly id: ConversationId; readonly changed: object } };

export interface Device {
  readonly name: string;
  readonly device: { readonly user: string; readonly device: string; readonly from_the_start: boolean };
  readonly steps: Step[];
  events: readonly (readonly [ConversationId, Event])[];
}

/** The devices of a file, each with its steps and what was on its disk at the end. */
export function devices(file: string): Device[] {
  const found: Device[] = [];
  for (const line of readFileSync(new URL(file, folder), "utf8").trimEnd().split("\n")) {
    const value = JSON.parse(line);
    const last = found.at(-1);
    if ("device" in value) found.push({ ...value, steps: [], events: [] });
    else if (last === undefined) throw new Error(`${file} begins with a step`);
    else if ("events" in value) last.events = value.events;
    else last.steps.push(value);
  }
  return found;
}

/** The cases of the model's rules with this name. */
export function model<Case>(name: string): Case[] {
  return JSON.parse(readFileSync(new URL("model.json", folder), "utf8"))[name];
}
