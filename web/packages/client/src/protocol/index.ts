// Generated from crates/protocol and crates/model. Not to be edited: see crates/protocol/src/typescript.rs.
export * from "./constants.js";
export type * from "./types.js";
