import { test as base, expect, type BrowserContext, type Locator, type Page } from '@playwright/test';
import { PASSWORD, Server, type Account } from './server.ts';

export { expect, PASSWORD };
export type { Account };

/** Somebody at a browser of their own. */
export class Person {
  constructor(
    readonly handle: string,
    readonly name: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  /** Signs up as somebody new does. */
  async signUp(): Promise<void> {
    await this.page.getByRole('textbox', { name: 'Handle', exact: true }).fill(this.handle);
    await this.page.getByRole('textbox', { name: 'Name', exact: true }).fill(this.name);
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await this.page.getByRole('button', { name: 'Create account' }).click();
    await expect(this.list).toBeVisible();
  }

  /** Logs in to an account that there is. */
  async logIn(): Promise<void> {
    await this.page.getByRole('button', { name: /Already have an account/ }).click();
    await this.page.getByRole('textbox', { name: 'Handle', exact: true }).fill(this.handle);
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await this.page.getByRole('button', { name: 'Log in', exact: true }).click();
    await expect(this.list).toBeVisible();
  }

  /** The pane with the conversations. */
  get list(): Locator {
    return this.page.getByLabel('Chats', { exact: true });
  }

  /** A screen, by its address within the app: `people`, `settings/devices`. */
  async go(place: string): Promise<void> {
    await this.page.evaluate((hash) => (location.hash = hash), `#/${place}`);
  }

  /** Finds somebody by handle and goes to the conversation with them. */
  async find(other: { handle: string; name: string }): Promise<void> {
    await this.go('people');
    await this.page.getByRole('searchbox', { name: 'Find somebody by their handle' }).fill(`@${other.handle}`);
    await this.page.getByRole('button', { name: 'Find', exact: true }).click();
    await this.page
      .getByRole('button', { name: `Message ${other.name}` })
      .first()
      .click();
    await expect(this.composer).toBeVisible();
  }

  /** Opens a conversation from the list. */
  async open(title: string): Promise<void> {
    if (!(await this.list.isVisible())) await this.go('');
    await this.row(title).click();
    await expect(this.composer).toBeVisible();
  }

  /** A conversation's row in the list. */
  row(title: string): Locator {
    return this.list.getByRole('link').filter({ hasText: title });
  }

  get composer(): Locator {
    return this.page.getByRole('textbox', { name: /^Message / });
  }

  async write(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.page.getByRole('button', { name: 'Send', exact: true }).click();
    await expect(this.composer).toHaveValue('');
  }

  /** Messages that hold a text. */
  message(text: string | RegExp): Locator {
    return this.page.locator('article[data-message]').filter({ hasText: text });
  }

  /** Opens the menu of a message and takes an entry. */
  async act(message: Locator, entry: string): Promise<void> {
    await message.locator('[data-bubble]').click({ button: 'right' });
    await this.page.getByRole('menuitem', { name: entry, exact: true }).click();
  }
}

type Prepare = (context: BrowserContext) => Promise<void>;

interface Fixtures {
  server: Server;
  /** Somebody new, signed up, at a browser of their own. `prepare` has the browser before its first page is loaded. */
  person: (name: string, prepare?: Prepare) => Promise<Person>;
  /** Somebody at the sign-up of the server. */
  visitor: (name: string, prepare?: Prepare) => Promise<Person>;
}

export const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.remove();
  },
  visitor: async ({ browser, server, contextOptions }, use, info) => {
    const contexts: BrowserContext[] = [];
    const complaints: string[] = [];
    await use(async (name, prepare) => {
      const { viewport, userAgent, deviceScaleFactor, isMobile, hasTouch, locale, timezoneId } = info.project.use;
      const shape = { viewport, userAgent, deviceScaleFactor, isMobile, hasTouch, locale, timezoneId };
      const given = Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined));
      const context = await browser.newContext({ ...contextOptions, ...given, baseURL: server.address });
      contexts.push(context);
      watch(context, complaints);
      await prepare?.(context);
      const page = await context.newPage();
      await page.goto('/');
      return new Person(name.toLowerCase(), name, context, page);
    });
    for (const context of contexts) await context.close();
    expect(complaints, 'nothing broke, and the policy of the page forbade nothing that the app does').toEqual([]);
  },
  person: async ({ visitor }, use) => {
    await use(async (name, prepare) => {
      const person = await visitor(name, prepare);
      await person.signUp();
      return person;
    });
  },
});

/** Collects what must not happen on any page of a context. */
function watch(context: BrowserContext, complaints: string[]): void {
  context.on('weberror', (error) => complaints.push(error.error().stack ?? String(error.error())));
  context.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy|Trusted/.test(message.text())) complaints.push(message.text());
  });
}
