import type { Attachment } from 'svelte/attachments';

interface Gestures {
  enabled: () => boolean;
  /** Swiped towards the end of the line and let go. */
  reply: () => void;
  /** Pressed long. */
  press: (at: { x: number; y: number }) => void;
}

const SWIPE_PX = 56;
const FURTHEST_PX = 76;
const SLOP_PX = 10;
const LONG_MS = 450;

/** A finger on a message: a swipe towards the end replies, a long press opens what can be done. Mice have buttons for both. */
export function gestures({ enabled, reply, press }: Gestures): Attachment<HTMLElement> {
  return (element) => {
    let start: { x: number; y: number; id: number } | undefined;
    let swiping = false;
    let by = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const line = () => element.querySelector<HTMLElement>('[data-bubble]');
    const end = () => {
      clearTimeout(timer);
      start = undefined;
      const bubble = line();
      if (swiping && bubble) {
        bubble.style.transition = 'translate 160ms ease-out';
        bubble.style.translate = '';
      }
      if (swiping && Math.abs(by) >= SWIPE_PX) reply();
      swiping = false;
      by = 0;
    };
    const down = (event: PointerEvent) => {
      if (event.pointerType === 'mouse' || !event.isPrimary) return;
      const at = { x: event.clientX, y: event.clientY };
      start = { ...at, id: event.pointerId };
      timer = setTimeout(() => {
        start = undefined;
        navigator.vibrate?.(12);
        press(at);
      }, LONG_MS);
    };
    const move = (event: PointerEvent) => {
      if (!start || event.pointerId !== start.id) return;
      const x = event.clientX - start.x;
      const y = event.clientY - start.y;
      if (!swiping) {
        if (Math.abs(x) > SLOP_PX || Math.abs(y) > SLOP_PX) clearTimeout(timer);
        const towards = document.documentElement.dir === 'rtl' ? -x : x;
        if (Math.abs(y) > SLOP_PX) start = undefined;
        else if (enabled() && towards > SLOP_PX) {
          swiping = true;
          element.setPointerCapture(event.pointerId);
        }
        return;
      }
      const limit = document.documentElement.dir === 'rtl' ? [-FURTHEST_PX, 0] : [0, FURTHEST_PX];
      by = Math.min(limit[1]!, Math.max(limit[0]!, x));
      const bubble = line();
      if (bubble) {
        bubble.style.transition = 'none';
        bubble.style.translate = `${by}px`;
      }
    };
    const cancel = () => {
      by = 0;
      end();
    };
    element.addEventListener('pointerdown', down);
    element.addEventListener('pointermove', move);
    element.addEventListener('pointerup', end);
    element.addEventListener('pointercancel', cancel);
    return () => {
      clearTimeout(timer);
      element.removeEventListener('pointerdown', down);
      element.removeEventListener('pointermove', move);
      element.removeEventListener('pointerup', end);
      element.removeEventListener('pointercancel', cancel);
    };
  };
}
