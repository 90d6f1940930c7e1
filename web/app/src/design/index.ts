/** The building blocks of every screen. */
export { default as Avatar } from './Avatar.svelte';
export { default as Button } from './Button.svelte';
export { default as Dialog } from './Dialog.svelte';
export { default as Empty } from './Empty.svelte';
export { default as IconButton } from './IconButton.svelte';
export { default as Menu } from './Menu.svelte';
export { default as Row } from './Row.svelte';
export { default as Spinner } from './Spinner.svelte';
export { default as Switch } from './Switch.svelte';
export { default as TextField } from './TextField.svelte';
export { toast } from './toasts.svelte.ts';
