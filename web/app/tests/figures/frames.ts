import type { Browser, Page } from '@playwright/test';
import { spread } from './quantiles.ts';

declare global {
  interface Window {
    /** When each frame began, while they are noted. */
    frameStarts: number[] | undefined;
  }
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  args?: { name?: string };
}

/** Milliseconds between frames, and of work of the main thread in each, while `during` runs. Tracing costs some of both. */
export async function frameTimes(browser: Browser, page: Page, during: () => Promise<void>) {
  await browser.startTracing(page, {
    categories: ['__metadata', 'toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'],
  });
  await page.evaluate(() => {
    const frames: number[] = [];
    window.frameStarts = frames;
    const note = (now: number) => {
      if (window.frameStarts !== frames) return;
      frames.push(now);
      requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
  });
  await during();
  const frames = await page.evaluate(() => {
    const frames = window.frameStarts;
    window.frameStarts = undefined;
    return frames ?? [];
  });
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const between = frames.slice(1).map((at, index) => at - frames[index]!);
  return { 'between frames, ms': spread(between), 'main-thread work per frame, ms': spread(workPerFrame(trace.traceEvents)) };
}

/** The tasks of the page's main thread, added up from one frame's callbacks to the next one's. */
export function workPerFrame(events: TraceEvent[]): number[] {
  const byThread = (one: TraceEvent) => `${one.pid} ${one.tid}`;
  const mains = new Set(events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(byThread));
  const marks = new Map<string, number[]>();
  for (const one of events) {
    if (one.name !== 'FireAnimationFrame' || !mains.has(byThread(one))) continue;
    const own = marks.get(byThread(one)) ?? [];
    own.push(one.ts);
    marks.set(byThread(one), own);
  }
  const [thread, starts] = [...marks].sort(([, one], [, other]) => other.length - one.length)[0] ?? ['', []];
  const tasks = events.filter((one) => one.ph === 'X' && /^(ThreadControllerImpl::)?RunTask$/.test(one.name) && byThread(one) === thread);
  // Some versions report a task under both names.
  const name = tasks.some((one) => one.name === 'RunTask') ? 'RunTask' : 'ThreadControllerImpl::RunTask';
  const ordered = tasks.filter((one) => one.name === name).sort((one, other) => one.ts - other.ts);
  // A frame has several callbacks, all within one task.
  starts.sort((one, other) => one - other);
  const work: number[] = [];
  let mark = 0;
  for (const { ts, dur = 0 } of ordered) {
    let holds = false;
    for (; mark < starts.length && starts[mark]! < ts + dur; mark += 1) holds ||= starts[mark]! >= ts;
    if (holds) work.push(0);
    if (work.length > 0) work[work.length - 1]! += dur / 1_000;
  }
  // The last one is cut off by the end.
  return work.slice(0, -1);
}
