/** What Chromium gives a page that may be installed. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }>;
}

/** Whether the app can be put on the device from inside the app, and doing so. Elsewhere (Safari, Firefox) the browser's own menu does it. */
class Install {
  #prompt = $state.raw<InstallPrompt>();

  /** The browser would ask the user now. */
  get possible(): boolean {
    return this.#prompt !== undefined;
  }

  start(): void {
    addEventListener('beforeinstallprompt', (event) => {
      // Not at a moment of the browser's choosing: settings offer it.
      event.preventDefault();
      this.#prompt = event as InstallPrompt;
    });
    addEventListener('appinstalled', () => (this.#prompt = undefined));
  }

  /** Asks the user. A prompt works once. */
  async ask(): Promise<void> {
    const prompt = this.#prompt;
    this.#prompt = undefined;
    await prompt?.prompt();
  }
}

export const install = new Install();
