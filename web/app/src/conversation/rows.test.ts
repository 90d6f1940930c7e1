import type { Item, Message } from '@banter/client';
import { describe, expect, it } from 'vitest';
import { rowsOf, RUN_MS, type Row } from './rows.ts';

const noon = new Date(2026, 4, 10, 12).getTime();
const day = 86_400_000;

function message(seq: number, sender: string, at: number): Message {
  return {
    kind: 'message',
    key: `m${seq}`,
    seq,
    ordinal: seq,
    at,
    sender,
    own: sender === 'me',
    text: 'x',
    mentions: [],
    redacted: false,
    reactions: [],
    status: 'received',
    changes: [],
  };
}
function notice(seq: number, at: number): Item {
  return { kind: 'notice', key: `n${seq}`, seq, at, sender: 'a', own: false, what: { kind: 'title_changed', title: 't' } };
}
function draw(rows: Row[]): string {
  return rows.map((row) => (row.kind === 'message' ? `${row.first ? '[' : ''}${row.key}${row.last ? ']' : ''}` : row.kind)).join(' ');
}

describe('rows', () => {
  it('put runs together by sender and time', () => {
    const items = [
      message(1, 'a', noon),
      message(2, 'a', noon + RUN_MS),
      message(3, 'a', noon + 3 * RUN_MS),
      message(4, 'me', noon + 3 * RUN_MS),
    ];
    expect(draw(rowsOf(items, undefined))).toBe('day [m1 m2] [m3] [m4]');
  });
  it('separate days, also within a run', () => {
    const midnight = new Date(2026, 4, 11).getTime();
    expect(draw(rowsOf([message(1, 'a', midnight - 1), message(2, 'a', midnight), message(3, 'a', midnight + 2 * day)], undefined))).toBe(
      'day [m1] day [m2] day [m3]',
    );
  });
  it('have the unread line before the first unread, and once', () => {
    const items = [message(1, 'a', noon), message(2, 'a', noon), message(5, 'a', noon)];
    expect(draw(rowsOf(items, 2))).toBe('day [m1] unread [m2 m5]');
    expect(draw(rowsOf(items, 4))).toBe('day [m1 m2] unread [m5]');
    expect(draw(rowsOf(items, 9))).toBe('day [m1 m2 m5]');
  });
  it('end runs at notices', () => {
    expect(draw(rowsOf([message(1, 'a', noon), notice(2, noon), message(3, 'a', noon)], undefined))).toBe('day [m1] notice [m3]');
  });
  it('are the same objects where nothing changed', () => {
    const items = [message(1, 'a', noon), message(2, 'a', noon)];
    const before = rowsOf(items, undefined);
    const map = new Map(before.map((row) => [row.key, row]));
    const after = rowsOf([...items, message(3, 'a', noon)], undefined, map);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
    expect(draw(after)).toBe('day [m1 m2 m3]');
  });
  it('separate no day twice: what failed yesterday stands below what came today', () => {
    const failed: Item = { ...message(3, 'me', noon), status: 'failed', tag: 7 };
    const rows = rowsOf([message(1, 'a', noon), message(2, 'a', noon + day), failed], undefined);
    expect(draw(rows)).toBe('day [m1] day [m2] [m3]');
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });
  it('have keys that are unique', () => {
    const items = Array.from({ length: 300 }, (_, index) => message(index + 1, index % 3 ? 'a' : 'me', noon + index * 3_600_000));
    const rows = rowsOf(items, 17);
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });
});
