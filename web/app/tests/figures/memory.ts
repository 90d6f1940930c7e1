import type { CDPSession } from '@playwright/test';
import { rounded } from './quantiles.ts';

/** What a page holds, after all garbage went. */
export interface Memory {
  'script heap, MB': number;
  'elements in the document': number;
  'nodes of all kinds': number;
  'event listeners': number;
}

export async function memory(session: CDPSession): Promise<Memory> {
  for (let pass = 0; pass < 3; pass += 1) await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
  const { result } = await session.send('Runtime.evaluate', { expression: 'document.querySelectorAll("*").length' });
  return {
    'script heap, MB': rounded(usedSize / 1e6),
    'elements in the document': result.value as number,
    'nodes of all kinds': nodes,
    'event listeners': jsEventListeners,
  };
}
