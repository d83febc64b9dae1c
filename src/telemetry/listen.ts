/** How this room listens: to channels by their names, for it imports no room that speaks. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Listens to a channel, whose events are taken for what they should be. Returns how to stop. */
export function listen<Event>(
  channel: string | symbol,
  listener: (event: Event) => void,
): () => void {
  const subscriber = (message: unknown) => listener(message as Event);
  subscribe(channel, subscriber);
  return () => {
    unsubscribe(channel, subscriber);
  };
}
