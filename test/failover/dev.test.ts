// `stowage dev` dies without a word, and starts again on what it had acknowledged.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createClient, createTransport, StorageService } from '../../src/client/index.js';
import { buildProgram, type DevPlace, startDev } from '../support/program.js';

async function storageAt({ grpc }: DevPlace, work: (client: Storage) => Promise<void>) {
  const transport = createTransport({ endpoints: grpc });
  try {
    await work(createClient(StorageService, transport));
  } finally {
    transport.close();
  }
}

type Storage = ReturnType<typeof createClient<typeof StorageService>>;

const freshness = { demand: { case: 'strong', value: true } } as const;

describe('stowage dev', () => {
  it('starts again within 10 s of SIGKILL with everything it acknowledged', async () => {
    await buildProgram();
    const first = await startDev();
    await storageAt(first, async (storage) => {
      await storage.recordObject({ object: { objectKey: 'kept', storageBackend: 'local' } });
    });
    const ended = once(first.process, 'exit');
    first.process.kill('SIGKILL');
    await ended;
    const killedAt = performance.now();
    await using again = await startDev(first);
    expect(performance.now() - killedAt).toBeLessThan(10_000);
    await storageAt(again, async (storage) => {
      const { object } = await storage.getObject({ objectKey: 'kept', freshness });
      expect(object?.revision).toBe(1n);
    });
  });

  it('refuses a second one on the same data, and says who has it', async () => {
    await buildProgram();
    await using first = await startDev();
    const { dataDirectory } = first;
    const message = String(first.process.pid);
    await expect(startDev({ dataDirectory })).rejects.toThrow(message);
  });
});
