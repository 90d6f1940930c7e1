import type { Client, ClientOptions } from "./api.js";

/**
 * Opens the client of this tab: restores who is logged in and what is stored, and begins to connect.
 *
 * Resolves once stored conversations can be shown, without waiting for the network. Fails with `storage` where IndexedDB cannot be opened.
 */
export declare function openClient(options?: ClientOptions): Promise<Client>;
