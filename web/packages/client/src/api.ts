/**
 * The public interface of the client: what an application sees.
 *
 * Everything that changes is an {@link Observable}: a `value`, and `subscribe`, which calls at once with the value and then with each
 * new one (the contract of Svelte's stores, of RxJS-like adapters and of `useSyncExternalStore`). Values are never changed in
 * place: a new value is a new object, and parts that did not change are the same objects as before.
 *
 * Names are in camel case here. What goes over the wire keeps the wire's names (`./protocol`).
 */
export type * from "./api/account.js";
export type * from "./api/basics.js";
export type * from "./api/client.js";
export type * from "./api/conversation.js";
export type * from "./api/message.js";
export type * from "./api/options.js";
export type * from "./api/people.js";
