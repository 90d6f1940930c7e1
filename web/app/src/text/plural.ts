/** A text: one form, or one for each plural category of its language that differs. `other` is what the rest uses. */
export type Text = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);

/** What goes into the braces of a text. `count` also chooses the plural form. */
export type Parameters = Record<string, string | number>;

/** Fills `{name}` in the form of `text` that `count` asks for. Numbers are written as the language writes them. */
export function fill(text: Text, parameters: Parameters, rules: Intl.PluralRules, numbers: Intl.NumberFormat): string {
  const count = parameters['count'];
  const form = typeof text === 'string' ? text : ((typeof count === 'number' ? text[rules.select(count)] : undefined) ?? text.other);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = parameters[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? numbers.format(value) : value;
  });
}
