import { toast } from '../../design/index.ts';
import { isClientError } from '../../sign/errors.ts';
import { t } from '../../text/text.svelte.ts';

/** In the user's words why the client or the server said no. */
export function said(error: unknown): string {
  if (!isClientError(error)) return t('error.unexpected', { message: error instanceof Error ? error.message : String(error) });
  switch (error.code) {
    case 'unreachable':
      return t('error.offline');
    case 'may_not_write':
      return t('said.may-not-write');
    case 'not_permitted':
    case 'owner_required':
      return t('said.not-permitted');
    case 'not_a_member':
    case 'not_a_group':
      return t('said.not-a-member');
    case 'unknown_user':
    case 'unknown_member':
      return t('said.gone');
    case 'group_full':
      return t('groups.full', { count: 100 });
    case 'invalid_title':
      return t('said.title');
    case 'invalid_display_name':
      return t('error.name.invalid');
    case 'invalid_about':
      return t('settings.about.long', { count: 280 });
    case 'invalid_password':
      return t('error.password.short');
    case 'wrong_credentials':
      return t('settings.password.wrong');
    default:
      return error.retryAfter === undefined
        ? t('error.unexpected', { message: error.message })
        : t('error.slow-down', { count: error.retryAfter });
  }
}

/** The same where people are put into a group: what they refuse is not to be written to. */
export function saidOfAdding(error: unknown): string {
  return isClientError(error) && error.code === 'may_not_write' ? t('said.cannot-be-added') : said(error);
}

/** Does what the user asked for, and says `done`, or why not. Whether it was done. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action();
  } catch (error) {
    toast(said(error), 'bad');
    return false;
  }
  if (done !== undefined) toast(done);
  return true;
}

/** Puts something where it can be pasted from, and says so. */
export async function copy(text: string, done: string): Promise<void> {
  await attempt(() => navigator.clipboard.writeText(text), done);
}
