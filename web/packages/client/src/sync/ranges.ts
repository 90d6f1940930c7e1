/** Which places of a log are known: ranges, both ends included, in order and at least one place apart. Mirrors `ranges.rs`. */
export class Ranges {
  private ranges: [number, number][];

  constructor(ranges: readonly (readonly [number, number])[] = []) {
    this.ranges = ranges.map(([from, to]) => [from, to]);
  }

  /** Adds `from..=to`, joining what it touches. A range that ends before it begins adds nothing. */
  insert(from: number, to: number): void {
    if (to < from) return;
    // The common case: the log's end grows.
    const last = this.ranges.at(-1);
    if (last !== undefined && last[0] <= from && from <= last[1] + 1) {
      last[1] = Math.max(last[1], to);
      return;
    }
    const first = this.point((range) => range[1] + 1 < from);
    const after = this.point((range) => range[0] <= to + 1);
    const lowest = first < after ? this.ranges[first] : undefined;
    const highest = first < after ? this.ranges[after - 1] : undefined;
    const joined: [number, number] = [Math.min(from, lowest?.[0] ?? from), Math.max(to, highest?.[1] ?? to)];
    this.ranges.splice(first, after - first, joined);
  }

  /** Takes out every place below `seq`. */
  forgetBelow(seq: number): void {
    this.ranges = this.ranges.filter((range) => range[1] >= seq);
    const first = this.ranges[0];
    if (first !== undefined) first[0] = Math.max(first[0], seq);
  }

  /** The range that holds `seq`. */
  around(seq: number): readonly [number, number] | undefined {
    const range = this.ranges[this.point((one) => one[1] < seq)];
    return range !== undefined && range[0] <= seq ? range : undefined;
  }

  /** Is every place of `from..=to` known? True for no places at all. */
  cover(from: number, to: number): boolean {
    return to < from || to <= (this.around(from)?.[1] ?? -1);
  }

  /** The range with the highest places. */
  last(): readonly [number, number] | undefined {
    return this.ranges.at(-1);
  }

  /** How many places are known. */
  get places(): number {
    return this.ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  /** Where the `most` highest places begin; above all of them for none. */
  newest(most: number): number {
    let left = most;
    for (const [from, to] of this.ranges.toReversed()) {
      if (left <= to - from + 1) return to + 1 - left;
      left -= to - from + 1;
    }
    return this.lowest;
  }

  /** The lowest place that is known; 0 if none is. */
  get lowest(): number {
    return this.ranges[0]?.[0] ?? 0;
  }

  /** How many ranges there are. */
  get length(): number {
    return this.ranges.length;
  }

  /** As it is stored. */
  toJSON(): [number, number][] {
    return this.ranges.map(([from, to]) => [from, to]);
  }

  /** Are these the same places? */
  equals(other: Ranges): boolean {
    return (
      this.ranges.length === other.ranges.length &&
      this.ranges.every((range, index) => range[0] === other.ranges[index]?.[0] && range[1] === other.ranges[index]?.[1])
    );
  }

  /** The first index for which `below` does not hold. */
  private point(below: (range: readonly [number, number]) => boolean): number {
    let [low, high] = [0, this.ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const range = this.ranges[middle];
      if (range !== undefined && below(range)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
