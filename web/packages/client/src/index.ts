/**
 * `@banter/client`: the client of banter, free of any framework.
 *
 * ```ts
 * const client = await openClient();
 * if (client.account.value.state === "signed_out") await client.logIn({ handle: "ada", password });
 * client.conversations.subscribe((list) => render(list));
 * const timeline = client.openTimeline(list[0].id, { at: "unread" });
 * timeline.state.subscribe((state) => show(state.items));
 * await client.send(list[0].id, "hello");
 * ```
 */
export type * from "./api.js";
export { openClient } from "./open.js";
export * from "./rules.js";
