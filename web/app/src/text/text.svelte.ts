import { en } from './en/index.ts';
import { fill, type Parameters, type Text } from './plural.ts';

/** The name of a text. */
export type TextKey = keyof typeof en;

/** The languages that the app speaks, with their own names. */
export const LANGUAGES = { en: 'English', ar: 'العربية' } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = 'banter.language';

/** The language in use. Whatever calls {@link t} is drawn anew when it changes. */
class Speech {
  language = $state<Language>('en');
  texts = $state.raw<Record<TextKey, Text>>(en);
  readonly direction = $derived<'ltr' | 'rtl'>(this.language === 'ar' ? 'rtl' : 'ltr');
  readonly rules = $derived(new Intl.PluralRules(this.language));
  readonly numbers = $derived(new Intl.NumberFormat(this.language));

  /** Speaks `language` from now on, also after a reload. */
  async use(language: Language): Promise<void> {
    const texts: Record<TextKey, Text> = language === 'ar' ? (await import('./ar/index.ts')).ar : en;
    this.texts = texts;
    this.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = this.direction;
    localStorage.setItem(KEPT, language);
  }

  /** Takes the language that was chosen before, or else the first of the browser's that the app speaks. */
  async start(): Promise<void> {
    const wanted = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.split('-')[0])];
    const language = wanted.find((tag): tag is Language => tag != null && tag in LANGUAGES) ?? 'en';
    if (language !== 'en') await this.use(language);
  }
}

export const speech = new Speech();

/** The text `key` in the language in use, with its `{parameters}` filled in. */
export function t(key: TextKey, parameters: Parameters = {}): string {
  return fill(speech.texts[key], parameters, speech.rules, speech.numbers);
}
