/** Streams of door 1 with bounds in both directions, counted in bytes and not in messages. */

import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';

/** Bytes that may wait in the transport before the handler is asked for more. */
const bytesInFlightMax = 512 * 1024;

type Writer = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

/** Writes messages, and says when the next may come. */
export interface BoundedWriter {
  /** Resolves at once while little is on its way; else when the peer has taken some, or is gone. */
  write(message: Buffer): Promise<void>;
}

/**
 * Bounds what is on its way to a peer. grpc-js alone would take 16 messages of any size before its
 * `write` answers false.
 */
export function boundedWriter(call: Writer, signal: AbortSignal): BoundedWriter {
  let bytesInFlight = 0;
  let wake: (() => void) | undefined;
  const wakeUp = () => {
    wake?.();
    wake = undefined;
  };
  signal.addEventListener('abort', wakeUp);
  return {
    async write(message) {
      bytesInFlight += message.length;
      call.write(message, () => {
        bytesInFlight -= message.length;
        wakeUp();
      });
      while (bytesInFlight > bytesInFlightMax && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/**
 * The requests of a bidi stream, one read from the transport for each one taken. The call's own
 * Readable would read ahead 16 messages of up to 8 MiB each, so its two implementation hooks are
 * used in its stead: `_read` asks the transport for one message, `push` receives it.
 */
export async function* readRequests(
  call: ServerDuplexStream<Buffer, Buffer>,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  let arrive: ((message: Buffer | null) => void) | undefined;
  let fail: ((reason: unknown) => void) | undefined;
  call.push = (message: Buffer | null) => {
    arrive?.(message);
    return true;
  };
  signal.addEventListener('abort', () => fail?.(signal.reason));
  for (;;) {
    signal.throwIfAborted();
    const message = await new Promise<Buffer | null>((resolve, reject) => {
      arrive = resolve;
      fail = reject;
      call._read(1);
    });
    if (message === null) {
      return;
    }
    yield message;
  }
}
