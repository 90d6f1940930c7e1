const KEPT = 'banter.theme';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** Light or dark, or as the system has it. */
class Look {
  theme = $state<Theme>('system');

  start(): void {
    const kept = THEMES.find((theme) => theme === localStorage.getItem(KEPT));
    if (kept) this.use(kept);
  }

  use(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(KEPT, theme);
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }
}

export const look = new Look();
