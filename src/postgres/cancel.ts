/** Cancel requests: how a query that nobody waits for is ended at the server. */

import type { PostgresSettings } from '../config.js';
import { deferred } from '../lib/deferred.js';
import { NEVER, within } from '../lib/interruption.js';
import { createBareConnection, type DriverClient, type NodeAddress } from './driver.js';

/**
 * Asks the server to cancel what the client's backend is running, over a short connection of its
 * own. The server closes that connection after it has signalled the backend: once this has
 * resolved, a request that came too late can no longer hit the backend's next query.
 * @returns false when that did not happen within `timeoutMs`.
 */
export async function sendCancel(
  settings: Pick<PostgresSettings, 'tls'>,
  node: NodeAddress,
  client: DriverClient,
  timeoutMs: number,
): Promise<boolean> {
  const connection = createBareConnection(settings);
  const closed = deferred<boolean>();
  const { processID, secretKey } = client;
  let isSent = false;
  const send = () => {
    isSent = true;
    connection.cancel(processID, secretKey);
  };
  connection.on('connect', () => (settings.tls === false ? send() : connection.requestSsl()));
  connection.on('sslconnect', send);
  // A reset after the request is the server's way to close; before it, nothing was cancelled.
  connection.on('error', () => closed.resolve(isSent));
  connection.on('end', () => closed.resolve(isSent));
  connection.connect(node.port, node.host);
  const limits = { signal: NEVER, deadlineMs: performance.now() + timeoutMs };
  const outcome = await within(closed.promise, limits);
  connection.stream.destroy();
  return 'value' in outcome && outcome.value;
}
