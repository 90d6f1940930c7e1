/** The value below which a part (0 to 1) of all are; 0 of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return rounded(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The quantiles that are quoted. */
export const spread = (values: readonly number[]) => ({
  count: values.length,
  p50: median(values),
  p95: quantile(values, 0.95),
  p99: quantile(values, 0.99),
  max: rounded(Math.max(0, ...values)),
});

/** To a tenth. */
export const rounded = (value: number): number => Math.round(value * 10) / 10;
