import type { Conversation, ConversationId, Message, Seq, Timeline } from '@banter/client';
import { getContext, setContext } from 'svelte';

/** What can be done with a message. */
export type MessageAction =
  | { do: 'reply' | 'edit' | 'delete' | 'copy' | 'seen' }
  /** Puts the emoji there, or takes it away if it is there. */
  | { do: 'react'; emoji: string }
  | { do: 'try-again' | 'discard'; tag: number }
  | { do: 'jump'; seq: Seq };

/** What a message needs of the conversation it stands in. */
export interface ConversationContext {
  readonly id: ConversationId;
  readonly timeline: Timeline;
  readonly group: boolean;
  readonly conversation: Conversation | undefined;
  act(message: Message, action: MessageAction): void;
}

const KEY = Symbol('conversation');

export const setConversation = (context: ConversationContext): ConversationContext => setContext(KEY, context);
export const useConversation = (): ConversationContext => getContext(KEY);
