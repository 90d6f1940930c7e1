import { said } from './said.ts';

/** Something that a form or a dialog does when it is asked to: whether it is being done, and why it could not be. */
export class Doing {
  /** For the button, which cannot be pressed meanwhile. */
  busy = $state(false);
  /** What to show beside it. */
  wrong = $state<string>();

  /** Does it, unless it is being done. `words` says why it failed. Whether it was done. */
  async run(action: () => Promise<unknown>, words: (error: unknown) => string = said): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.wrong = undefined;
    try {
      await action();
      return true;
    } catch (error) {
      this.wrong = words(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
