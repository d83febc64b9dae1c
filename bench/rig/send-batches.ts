/** Batches of an IngestObjects stream, sent and acknowledged. */

import { once } from 'node:events';
import type { GrpcCaller } from './grpc-caller.js';

const PATH = '/stowage.v1.StorageService/IngestObjects';
/** Batches sent ahead of their acknowledgement. */
const BATCHES_AHEAD = 4;

/** Sends the batches, a few ahead, and waits until the last one is acknowledged. */
export async function sendBatches(caller: GrpcCaller, batches: readonly Buffer[]): Promise<void> {
  const stream = caller.bidi(PATH);
  let sent = 0;
  let acknowledged = 0;
  const send = () => {
    const batch = batches[sent];
    if (batch === undefined) stream.end();
    else stream.write(batch);
    sent += 1;
  };
  stream.on('data', () => {
    acknowledged += 1;
    send();
  });
  const ended = once(stream, 'end');
  for (let i = 0; i < BATCHES_AHEAD; i += 1) send();
  await ended;
  if (acknowledged !== batches.length) {
    throw new Error(`${acknowledged} of ${batches.length} batches were acknowledged`);
  }
}
