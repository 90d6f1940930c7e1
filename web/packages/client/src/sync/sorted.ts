/** A set in order. Insertion is a binary search and a move: right for the sizes that a device has. */
export class SortedSet<T> {
  private items: T[] = [];

  constructor(private readonly compare: (a: T, b: T) => number) {}

  /** Adds `item`, unless an equal one is in it. */
  add(item: T): void {
    const index = this.find(item);
    const found = this.items[index];
    if (found === undefined || this.compare(found, item) !== 0) this.items.splice(index, 0, item);
  }

  /** Takes the item out that is equal to `item`. */
  delete(item: T): void {
    const index = this.find(item);
    const found = this.items[index];
    if (found !== undefined && this.compare(found, item) === 0) this.items.splice(index, 1);
  }

  /** Is an item equal to `item` in it? */
  has(item: T): boolean {
    const found = this.items[this.find(item)];
    return found !== undefined && this.compare(found, item) === 0;
  }

  /** The lowest item. */
  first(): T | undefined {
    return this.items[0];
  }

  /** Takes the lowest item out. */
  shift(): T | undefined {
    return this.items.shift();
  }

  /** All items, in order. */
  values(): readonly T[] {
    return [...this.items];
  }

  get size(): number {
    return this.items.length;
  }

  private find(item: T): number {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.items[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
