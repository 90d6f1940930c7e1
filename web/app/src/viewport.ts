/**
 * The height that is left above a phone's keyboard. Where the keyboard shrinks the page by itself (`interactive-widget`) the two are equal; Safari lays it over
 * the page and scrolls the page away instead, which is taken back here.
 */
export function followKeyboard(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const fit = () => {
    // A user who zooms in wants to see a part, not a smaller page.
    if (Math.abs(viewport.scale - 1) > 0.01) return;
    document.documentElement.style.setProperty('--height', `${viewport.height}px`);
    if (viewport.offsetTop > 0) window.scrollTo(0, 0);
  };
  viewport.addEventListener('resize', fit);
  viewport.addEventListener('scroll', fit);
  fit();
}
