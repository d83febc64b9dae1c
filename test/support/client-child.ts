/**
 * A program that uses the client and comes to its end: whether the process then ends too is what a
 * test looks at. Arguments: the server, and `close` or `leave`.
 */
import { createStowage } from '../../src/client/index.js';

const [endpoints = '', ending] = process.argv.slice(2);
const { storage, ready, close } = createStowage({ endpoints });
await ready();
await storage.getObject({ objectKey: 'a' });
for await (const _ of storage.streamObjects({ prefix: 'hang:1' })) break;
if (ending === 'close') {
  const pending = storage.getObject({ objectKey: 'hang' }, { timeoutMs: 0 });
  close();
  await pending.catch((error: unknown) => process.stdout.write(`${String(error)}\n`));
}
process.stdout.write('the end\n');
