import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  type IngestObjectsRequest,
  type IngestObjectsResponse,
  IngestObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { Patience } from '../../src/cli/scan/backoff.js';
import { type IngestCall, IngestSender } from '../../src/cli/scan/ingest.js';
import { CallError, lostConnection } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';

/** One connection: how many batches it commits, how many of those it acknowledges, how it ends. */
interface Connection {
  readonly commits: number;
  readonly acknowledges: number;
  readonly error?: Error;
}

/** A server that keeps request ids, as the real one does, over connections that break by plan. */
class ScriptedIngest {
  readonly #plan: Connection[];
  readonly committed = new Map<string, string[]>();
  connections = 0;
  unacknowledgedMost = 0;

  constructor(plan: readonly Connection[]) {
    this.#plan = [...plan];
  }

  get call(): IngestCall {
    const serve = (requests: AsyncIterable<unknown>) =>
      this.#serve(requests as AsyncIterable<IngestObjectsRequest>);
    return { ingestObjects: serve };
  }

  async *#serve(requests: AsyncIterable<IngestObjectsRequest>) {
    this.connections += 1;
    const connection = this.#plan.shift() ?? { commits: 1e9, acknowledges: 1e9 };
    const answers: IngestObjectsResponse[] = [];
    let commits = 0;
    for await (const request of requests) {
      commits += 1;
      const keys = request.objects.map(({ objectKey }) => objectKey);
      this.committed.set(request.requestId, keys);
      const created = BigInt(keys.length);
      const answer = { resumePosition: request.position, created, batch: BigInt(commits) };
      answers.push(create(IngestObjectsResponseSchema, answer));
      if (commits >= connection.commits) break;
      if (commits <= connection.acknowledges) yield* answers.splice(0);
    }
    if (commits >= connection.commits) {
      yield* answers.slice(0, Math.max(0, connection.acknowledges - commits + answers.length));
      throw connection.error ?? lostConnection('reset');
    }
  }
}

function createSender(ingest: ScriptedIngest, stalledMsMax = 60_000): IngestSender {
  const { signal } = new AbortController();
  return new IngestSender(ingest.call, {
    project: 'default',
    signal,
    patience: new Patience({ signal, stalledMsMax }),
    unacknowledgedMax: 4,
  });
}

async function sendBatches(sender: IngestSender, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const objects = [{ objectKey: `${number}/a` }, { objectKey: `${number}/b` }];
    await sender.send(objects, `${number}`);
  }
}

describe('IngestSender', () => {
  it('sends every batch over one connection where nothing breaks', async () => {
    const ingest = new ScriptedIngest([]);
    const sender = createSender(ingest);
    await sendBatches(sender, 20);
    await expect(sender.finish()).resolves.toEqual({ created: 40, updated: 0, unchanged: 0 });
    expect(ingest.connections).toBe(1);
    expect(ingest.committed.size).toBe(20);
  });

  it('sends what is unacknowledged again with its own request ids', async () => {
    const ingest = new ScriptedIngest([
      { commits: 3, acknowledges: 1 },
      { commits: 1, acknowledges: 0 },
      { commits: 5, acknowledges: 5 },
    ]);
    const sender = createSender(ingest);
    await sendBatches(sender, 12);
    await expect(sender.finish()).resolves.toMatchObject({ created: 24 });
    expect(ingest.connections).toBe(4);
    // As many ids as batches: a batch that was sent twice came twice with the same id.
    expect(ingest.committed.size).toBe(12);
    const keys = [...ingest.committed.values()].flat();
    expect(new Set(keys).size).toBe(24);
  });

  it('gives up at once where repeating cannot help', async () => {
    const error = new CallError(
      'no such project',
      {
        code: 5,
        reason: 'PROJECT_NOT_FOUND',
        retry: 'never',
        violations: [],
        metadata: {},
        retryDelayMs: undefined,
      },
      undefined,
    );
    const ingest = new ScriptedIngest([{ commits: 1, acknowledges: 0, error }]);
    const sender = createSender(ingest);
    await expect(sendBatches(sender, 20)).rejects.toBe(error);
    await expect(sender.finish()).rejects.toBe(error);
    expect(ingest.connections).toBe(1);
  });

  it('gives up after the time without progress that is allowed', async () => {
    const breaking = Array.from({ length: 100 }, () => ({ commits: 1, acknowledges: 0 }));
    const ingest = new ScriptedIngest(breaking);
    const sender = createSender(ingest, 150);
    await sendBatches(sender, 2);
    await expect(sender.finish()).rejects.toMatchObject({ message: 'reset' });
    expect(ingest.connections).toBeGreaterThan(1);
  });

  it('keeps its patience for later where a stream breaks with nothing unacknowledged', async () => {
    const ingest = new ScriptedIngest([
      { commits: 1, acknowledges: 1 },
      { commits: 1, acknowledges: 0 },
    ]);
    const failures: unknown[] = [];
    const { signal } = new AbortController();
    const onRetry = (error: unknown) => failures.push(error);
    const patience = new Patience({ signal, onRetry });
    const sender = new IngestSender(ingest.call, { project: 'default', signal, patience });
    await sender.send([{ objectKey: 'a' }], 'a');
    await until(() => sender.totals.created === 1, { timeoutMs: 5000, what: 'it is acknowledged' });
    await sender.send([{ objectKey: 'b' }], 'b');
    await expect(sender.finish()).resolves.toMatchObject({ created: 2 });
    expect(ingest.connections).toBe(3);
    expect(failures).toHaveLength(1);
  });

  it('needs no connection where there is nothing to send', async () => {
    const ingest = new ScriptedIngest([]);
    await expect(createSender(ingest).finish()).resolves.toMatchObject({ created: 0 });
    expect(ingest.connections).toBe(0);
  });
});
