import { openClient, type Client, type ConversationId, type UserId } from '@banter/client';
import { t } from '../text/text.svelte.ts';
import { observed } from './observed.svelte.ts';

/**
 * The app's one client, and what screens read of it. `app.client` is there from the moment {@link start} resolved, which is before anything
 * is drawn.
 */
class App {
  client!: Client;

  async start(): Promise<void> {
    this.client = await openClient();
    let device = '';
    this.client.account.subscribe((account) => {
      const now = account.state === 'signed_in' ? account.device : '';
      // Whoever comes next sees nothing of who was here.
      if (now !== device) this.#forget();
      device = now;
    });
  }

  get account() {
    return observed(this.client.account).current;
  }
  get connection() {
    return observed(this.client.connection).current;
  }
  get conversations() {
    return observed(this.client.conversations).current;
  }
  get unread() {
    return observed(this.client.unread).current;
  }
  get friends() {
    return observed(this.client.friends).current;
  }
  get me() {
    return observed(this.client.me).current;
  }
  get settings() {
    return observed(this.client.settings).current;
  }
  get blocked() {
    return observed(this.client.blocked).current;
  }
  /** The user's id; empty while nobody is logged in. */
  get user(): UserId {
    const account = this.account;
    return account.state === 'signed_in' ? account.user : '';
  }

  profile(user: UserId) {
    return observed(this.#of(this.#profiles, user, () => this.client.profile(user))).current;
  }
  presence(user: UserId) {
    return observed(this.#of(this.#presences, user, () => this.client.presence(user))).current;
  }
  conversation(id: ConversationId) {
    return observed(this.#of(this.#conversations, id, () => this.client.conversation(id))).current;
  }
  /** What to call somebody: a space until it is known, so that a line keeps its height. */
  name(user: UserId): string {
    const profile = this.profile(user);
    if (profile === undefined) return ' ';
    return profile.deleted ? t('deleted-user') : profile.displayName;
  }
  /** What to call a conversation: its title, or the name of the other one. */
  title(conversation: { readonly peer?: UserId; readonly title: string }): string {
    return conversation.peer === undefined ? conversation.title : this.name(conversation.peer);
  }

  // The client may answer with a new observable each time; one view of each is kept, so that a list of names is one subscription a name.
  readonly #profiles = new Map<string, ReturnType<Client['profile']>>();
  readonly #presences = new Map<string, ReturnType<Client['presence']>>();
  readonly #conversations = new Map<string, ReturnType<Client['conversation']>>();

  #of<T>(kept: Map<string, T>, id: string, ask: () => T): T {
    let found = kept.get(id);
    if (found === undefined) kept.set(id, (found = ask()));
    return found;
  }

  /** Forgets what was seen in a login: the client has new observables for the next one. */
  #forget(): void {
    this.#profiles.clear();
    this.#presences.clear();
    this.#conversations.clear();
  }
}

export const app = new App();

/** A clock that ticks once a minute, for times like "yesterday". */
class Clock {
  now = $state(Date.now());
  start(): void {
    setInterval(() => (this.now = Date.now()), 60_000);
  }
}

export const clock = new Clock();
