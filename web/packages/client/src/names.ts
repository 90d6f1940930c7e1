/** A name that nobody else has: 128 random bits. `crypto.randomUUID` is not there on pages without TLS, as on a server at home. */
export function uniqueName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
