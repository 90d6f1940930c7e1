import type { Client, ClientOptions } from "./api.js";
import { TabClient } from "./client/client.js";
import { environmentOf } from "./environment.js";
import { openDatabase } from "./storage/database.js";

/**
 * Opens the client of this tab: restores who is logged in and what is stored, and begins to connect.
 *
 * Resolves once stored conversations can be shown, without waiting for the network. Fails with `storage` where IndexedDB cannot be opened.
 */
export async function openClient(options: ClientOptions = {}): Promise<Client> {
  const { server, database: name = "banter", environment: given } = options;
  const base = (server ?? globalThis.location?.origin ?? "").replace(/\/+$/, "");
  const database = await openDatabase(name);
  const client = new TabClient(environmentOf(given), name, base, database);
  await client.opened;
  return client;
}
