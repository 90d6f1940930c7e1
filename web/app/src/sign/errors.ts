import type { ClientError } from '@banter/client';
import { t } from '../text/text.svelte.ts';

/** What to tell somebody when signing in fails, and at which field. */
export interface Trouble {
  at: 'handle' | 'password' | 'name' | 'form';
  text: string;
}

/** Is it an error of the client, with a stable code? */
export function isClientError(error: unknown): error is ClientError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

/** In the user's words what the client or the server said. */
export function trouble(error: unknown): Trouble {
  if (!isClientError(error)) return { at: 'form', text: t('error.unexpected', { message: String(error) }) };
  switch (error.code) {
    case 'invalid_handle':
      return { at: 'handle', text: t('error.handle.invalid') };
    case 'handle_taken':
      return { at: 'handle', text: t('error.handle.taken') };
    case 'invalid_password':
      return { at: 'password', text: t('error.password.short') };
    case 'invalid_display_name':
      return { at: 'name', text: t('error.name.invalid') };
    case 'wrong_credentials':
      return { at: 'form', text: t('error.credentials') };
    case 'unreachable':
      return { at: 'form', text: t('error.offline') };
    default:
      return error.retryAfter === undefined
        ? { at: 'form', text: t('error.unexpected', { message: error.message }) }
        : { at: 'form', text: t('error.slow-down', { count: error.retryAfter }) };
  }
}
