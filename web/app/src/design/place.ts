/** Puts a fixed box beside an element or at a point, wholly within the window: below and from its start if there is room. */
export function placeBeside(box: HTMLElement, at: HTMLElement | { x: number; y: number }): void {
  const margin = 8;
  const anchor = at instanceof HTMLElement ? at.getBoundingClientRect() : new DOMRect(at.x, at.y, 0, 0);
  const { offsetWidth: width, offsetHeight: height } = box;
  const rightToLeft = document.documentElement.dir === 'rtl';
  let left = rightToLeft ? anchor.right - width : anchor.left;
  left = Math.max(margin, Math.min(left, innerWidth - width - margin));
  const below = anchor.bottom + 4;
  const above = anchor.top - height - 4;
  const top = below + height + margin <= innerHeight ? below : above >= margin ? above : innerHeight - height - margin;
  box.style.left = `${left}px`;
  box.style.top = `${Math.max(margin, top)}px`;
}
