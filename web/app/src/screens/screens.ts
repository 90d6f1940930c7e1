import type { Component } from 'svelte';
import type { ScreenName } from '../router.svelte.ts';

/**
 * The screens that are loaded when somebody goes there. Each is `src/screens/<name>/Screen.svelte`, gets what follows its name in the
 * route as `path`, and stands in the content pane: it draws its own header with `ScreenFrame`.
 */
const loaders = import.meta.glob<{ default: Component<{ path: string[] }> }>('./*/Screen.svelte');

export async function loadScreen(name: ScreenName): Promise<Component<{ path: string[] }> | undefined> {
  return (await loaders[`./${name}/Screen.svelte`]?.())?.default;
}
