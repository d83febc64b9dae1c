// Freshness tokens and request ids, as the client sets them by itself.
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { createClient as createConnectClient } from '@connectrpc/connect';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FreshnessTokens } from '../../src/client/freshness-tokens.js';
import {
  createStowage,
  DeleteObjectRequestSchema,
  type Interceptor,
  ProjectService,
  StorageService,
  type Stowage,
} from '../../src/client/index.js';
import { requestIds } from '../../src/client/request-ids.js';
import { scopeOf } from '../../src/client/request-scope.js';
import { type Reason, StowageError } from '../../src/errors.js';
import { formatToken } from '../../src/postgres/token.js';
import type { CallContext } from '../../src/services/handler.js';
import { type Doors, openDoors, type StorageHandlers } from '../support/doors.js';
import { failure } from '../support/service.js';

const key = { id: 1, secret: Buffer.from('a secret of the test') };

/** A token as the service makes it. */
const token = (lsn: number, timeline = 1, systemIdentifier = 7n) =>
  formatToken(key, {
    systemIdentifier,
    timeline,
    lsn: BigInt(lsn),
    precision: 'exact',
    promotion: 0,
  });

describe('FreshnessTokens', () => {
  it('keeps the newest by what it says, not by when it came', () => {
    const tokens = new FreshnessTokens();
    for (const [lsn, newest] of [
      [5, 5],
      [300, 300],
      [299, 300],
      [70_000, 70_000],
      [6, 70_000],
    ] as const) {
      tokens.saw('p', token(lsn));
      expect(tokens.get('p')).toBe(token(newest));
    }
    tokens.saw('p', token(1, 2));
    expect(tokens.get('p')).toBe(token(1, 2));
    tokens.saw('p', token(80_000, 1));
    expect(tokens.get('p')).toBe(token(1, 2));
  });

  it('keeps projects apart, and the newest of all for calls of none', () => {
    const tokens = new FreshnessTokens();
    expect(tokens.get('p')).toBeUndefined();
    expect(tokens.get(undefined)).toBeUndefined();
    tokens.saw('p', token(9));
    tokens.saw('q', token(5));
    expect([tokens.get('p'), tokens.get('q'), tokens.get('r')]).toEqual([
      token(9),
      token(5),
      undefined,
    ]);
    expect(tokens.get(undefined)).toBe(token(9));
  });

  it('takes what it cannot compare: it is of the server that answers', () => {
    const tokens = new FreshnessTokens();
    for (const text of [token(9), token(1, 1, 8n), 'of-another-form', token(2), 'yet-another']) {
      tokens.saw('p', text);
      expect(tokens.get('p')).toBe(text);
    }
    tokens.saw('p', '');
    expect(tokens.get('p')).toBe('yet-another');
  });

  it('forgets what was refused, and nothing that is newer', () => {
    const tokens = new FreshnessTokens();
    tokens.saw('p', token(5));
    tokens.saw('p', token(6));
    tokens.drop(token(5));
    expect(tokens.get('p')).toBe(token(6));
    tokens.drop(token(6));
    expect([tokens.get('p'), tokens.get(undefined)]).toEqual([undefined, undefined]);
  });

  it('is bounded, and reads no older for it', () => {
    const tokens = new FreshnessTokens();
    tokens.saw('first', token(77));
    for (let index = 0; index < 10_000; index += 1) tokens.saw(`p${index}`, token(index));
    expect(tokens.get('p9999')).toBe(token(9_999));
    expect(tokens.get('first')).toBe(token(77));
    expect(tokens.get('never seen')).toBe(token(77));
    tokens.saw('first', token(76));
    expect(tokens.get('first')).toBe(token(77));
    tokens.saw('first', token(78));
    expect(tokens.get('first')).toBe(token(78));
  });
});

describe('the scope of a method', () => {
  it('is known for each method of the contract', () => {
    const facts = [...StorageService.methods, ...ProjectService.methods].map((method) => {
      const { projectOf, isOpen } = scopeOf(method);
      const request = create(method.input, {});
      return [method.name, projectOf(request), isOpen(request)];
    });
    const of = (project: string | undefined, isRead: boolean) =>
      facts.filter(([, p, open]) => p === project && open === isRead).map(([name]) => name);
    expect(of('default', true)).toEqual([
      'GetObject',
      'BatchGetObjects',
      'ListObjects',
      'StreamObjects',
      'GetUsage',
      'SearchObjects',
      'FindDuplicates',
      'GetStatistics',
      'GetProject',
    ]);
    expect(of(undefined, true)).toEqual(['ListProjects']);
    expect(of(undefined, false)).toEqual([]);
  });
});

describe.each(['grpcUrl', 'httpUrl'] as const)('a client of %s', (door) => {
  const seen: { context: CallContext; request: unknown }[] = [];
  /** What the next answer says. */
  let answer = '';
  let refusal: Reason | undefined;
  let doors: Doors;
  let client: Stowage;

  const handlers: StorageHandlers = {
    getObject(request, context) {
      seen.push({ context, request });
      if (refusal !== undefined) throw new StowageError(refusal);
      if (answer !== '') context.responseHeaders.set('stowage-token', answer);
      return {};
    },
    async *streamObjects(request, context) {
      seen.push({ context, request });
      if (refusal !== undefined) throw new StowageError(refusal);
      yield {};
      yield { summary: { items: 0n, bytes: 0n, crc32: 0, token: answer } };
    },
    deleteObject(request, context) {
      seen.push({ context, request });
      return { token: answer };
    },
    async *ingestObjects(requests, context) {
      for await (const request of requests) {
        seen.push({ context, request });
        yield {
          batch: 1n,
          resumePosition: request.position,
          token: token(Number(request.position)),
        };
      }
    },
  };

  beforeAll(async () => {
    doors = await openDoors({}, undefined, handlers);
  });

  beforeEach(() => {
    client?.close();
    client = createStowage({ endpoints: doors[door] });
    seen.length = 0;
    answer = '';
    refusal = undefined;
  });

  afterAll(async () => {
    client.close();
    await doors.close();
  });

  const sentTokens = () => seen.at(-1)?.context.tokens;
  const read = (project = '') => client.storage.getObject({ project, objectKey: 'a' });

  it('sends the newest token of a project with its reads', async () => {
    await read();
    expect(sentTokens()).toEqual([]);
    answer = token(20);
    await read();
    answer = token(10);
    await read();
    expect(sentTokens()).toEqual([token(20)]);
    await read('default');
    expect(sentTokens()).toEqual([token(20)]);
    await read('other');
    expect(sentTokens()).toEqual([]);
    for await (const _ of client.storage.streamObjects({}));
    expect(sentTokens()).toEqual([token(20)]);
  });

  it('takes tokens from mutations, acknowledgements and summaries', async () => {
    answer = token(5);
    await client.storage.deleteObject({ objectKey: 'a' });
    await read();
    expect(sentTokens()).toEqual([token(5)]);
    async function* batches() {
      for (const position of ['31', '30']) {
        yield { position, objects: [{ objectKey: 'a', storageBackend: 's3' }] };
      }
    }
    for await (const _ of client.storage.ingestObjects(batches()));
    await read();
    expect(sentTokens()).toEqual([token(31)]);
    answer = token(40);
    for await (const _ of client.storage.streamObjects({}));
    await read();
    expect(sentTokens()).toEqual([token(40)]);
  });

  it('leaves a request alone that says itself how fresh', async () => {
    answer = token(5);
    await read();
    const freshness = { demand: { case: 'eventual', value: true } } as const;
    await client.storage.getObject({ objectKey: 'a', freshness });
    expect(sentTokens()).toEqual([]);
    const headers = { 'stowage-token': token(3) };
    await client.storage.getObject({ objectKey: 'a' }, { headers });
    expect(sentTokens()).toEqual([token(3)]);
    await client.storage.deleteObject({ objectKey: 'a' });
    expect(sentTokens()).toEqual([]);
  });

  it.each(['TOKEN_HISTORY_LOST', 'TOKEN_FROM_OTHER_CLUSTER', 'TOKEN_MALFORMED'] as const)(
    'is stuck at %s for one call only',
    async (reason) => {
      for (const call of [
        () => read(),
        async () => {
          for await (const _ of client.storage.streamObjects({}));
        },
      ]) {
        refusal = undefined;
        answer = token(5);
        await read();
        refusal = reason;
        expect(await failure(call())).toMatchObject({ reason, retry: 'begin_again' });
        expect(sentTokens()).toEqual([token(5)]);
        refusal = undefined;
        answer = '';
        await read();
        expect(sentTokens()).toEqual([]);
      }
    },
  );

  it('keeps its token through other errors', async () => {
    answer = token(5);
    await read();
    refusal = 'STANDBY_BEHIND';
    await failure(read());
    refusal = undefined;
    await read();
    expect(sentTokens()).toEqual([token(5)]);
  });

  const requestIdsSeen = () =>
    seen.map(({ request }) => (request as { requestId: string }).requestId);

  it('gives every mutation an id of its own, and changes no message of the caller', async () => {
    const message = create(DeleteObjectRequestSchema, { objectKey: 'a' });
    await client.storage.deleteObject(message);
    await client.storage.deleteObject(message);
    const own = randomUUID();
    await client.storage.deleteObject({ objectKey: 'a', requestId: own });
    async function* batches() {
      const objects = [{ objectKey: 'a', storageBackend: 's3' }];
      yield { position: '1', objects };
      yield { position: '2', objects, requestId: own };
      yield { position: '3', objects };
    }
    for await (const _ of client.storage.ingestObjects(batches()));
    const ids = requestIdsSeen();
    expect(ids).toHaveLength(6);
    expect([ids[2], ids[4]]).toEqual([own, own]);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(5);
    expect(message.requestId).toBe('');
  });

  it('gives an interceptor that repeats one request id, and each attempt its token', async () => {
    const twice: Interceptor = (next) => async (request) => {
      await next(request);
      return next(request);
    };
    await using repeating = createStowage({ endpoints: doors[door], interceptors: [twice] });
    answer = token(5);
    await repeating.storage.deleteObject({ objectKey: 'a' });
    const [first, second] = requestIdsSeen();
    expect(second).toBe(first);
    answer = token(6);
    await repeating.storage.getObject({ objectKey: 'a' });
    expect(seen.slice(2).map(({ context }) => context.tokens)).toEqual([[token(5)], [token(6)]]);
  });

  it('does the same for a client that Connect made', async () => {
    const storage = createConnectClient(StorageService, client.transport);
    await storage.deleteObject({ objectKey: 'a' });
    expect(requestIdsSeen()[0]).not.toBe('');
  });
});

describe('requestIds', () => {
  it('know every mutation of the contract by its descriptor', async () => {
    const methods = [...StorageService.methods, ...ProjectService.methods];
    const filled: string[] = [];
    for (const method of methods) {
      const request = { stream: false, method, message: create(method.input, {}) };
      await requestIds(async ({ message }) => {
        if ('requestId' in message && message.requestId !== '') filled.push(method.name);
        return undefined as never;
      })(request as never);
    }
    const mutations = methods.filter(
      ({ name, input }) => name !== 'IngestObjects' && input.field['requestId'] !== undefined,
    );
    expect(filled.filter((name) => name !== 'IngestObjects')).toEqual(
      mutations.map(({ name }) => name),
    );
    expect(mutations.length).toBeGreaterThan(10);
  });
});
