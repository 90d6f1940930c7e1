/**
 * Does the key belong to an input method (Japanese, Chinese, Korean)? The Enter that takes what it offers is not for the page. Safari sends that
 * one after the end of the composition, with the number that stands for "handled by the input method"
 * (https://www.w3.org/TR/uievents/#fixed-virtual-key-codes).
 */
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}
