// Secrets of hooks: kept encrypted, and never seen again through either door or in the database.
import { createDecipheriv, createHash, randomBytes, randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HookSchema } from '../../gen/stowage/v1/hook_pb.js';
import { sharedCluster } from '../support/cluster.js';
import {
  doorNames,
  failure,
  type OpenServer,
  openServer,
  startService,
  strong,
  type TestService,
} from '../support/service.js';

type HookInit = Exclude<MessageInitShape<typeof HookSchema>, { $typeName: string }>;

const key = randomBytes(32);
let service: TestService;
/** On the same database, with another key and with none. */
let rekeyed: OpenServer;
let keyless: OpenServer;

beforeAll(async () => {
  service = await startService({ STOWAGE_SECRETS_KEY: key.toString('base64') });
  const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  const otherKey = { STOWAGE_SECRETS_KEY: randomBytes(32).toString('base64') };
  [rekeyed, keyless] = await Promise.all([
    openServer(service.database, nodes, otherKey),
    openServer(service.database, nodes),
  ]);
});

afterAll(async () => {
  await Promise.all([rekeyed?.[Symbol.asyncDispose](), keyless?.[Symbol.asyncDispose]()]);
  await service[Symbol.asyncDispose]();
});

/** What stands in `hook_secrets`, decrypted as it must be possible. */
async function keptSecret(project: string, hookName: string): Promise<string | undefined> {
  const [row] = await service.sql<{ key_id: string; secret: Buffer }>(
    'select key_id, secret from hook_secrets where project_id = $1 and hook_name = $2',
    [project, hookName],
  );
  if (row === undefined) return undefined;
  expect(row.key_id).toBe(createHash('sha256').update(key).digest('hex').slice(0, 16));
  const decipher = createDecipheriv('aes-256-gcm', key, row.secret.subarray(0, 12));
  decipher.setAAD(Buffer.from(JSON.stringify([project, hookName])));
  decipher.setAuthTag(row.secret.subarray(-16));
  const text = decipher.update(row.secret.subarray(12, -16), undefined, 'utf8');
  return text + decipher.final('utf8');
}

/** Every row of every table, as text, and what the log of statements could have kept. */
async function everyRow(): Promise<string> {
  const tables = await service.sql<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await service.sql<{ row: string }>(`select t::text as row from ${name} as t`);
    texts.push(...rows.map(({ row }) => row));
  }
  const activity = await service.sql<{ query: string }>('select query from pg_stat_activity');
  return [...texts, ...activity.map(({ query }) => query)].join('\n');
}

describe.each(doorNames)('secrets of hooks through %s', (door) => {
  const hooks = () => service.doors[door].hooks;
  const project = `secrets-${door.toLowerCase()}`;
  const freshness = strong;

  beforeAll(async () => {
    await service.doors[door].projects.createProject({ project: { project } });
  });

  const make = (hookName: string, hook: HookInit = {}) =>
    hooks().createHook({ project, hook: { eventTypes: ['*'], ...hook, hookName } });
  const read = async (hookName: string) =>
    (await hooks().getHook({ project, hookName, freshness })).hook;

  it('keeps a secret encrypted, and never shows it', async () => {
    const secret = `whsec_${randomBytes(24).toString('base64url')}`;
    const next = `${secret}-next`;
    const requestId = randomUUID();
    const hook = { hookName: 'secretive', eventTypes: ['*'], secret };
    const made = await hooks().createHook({ project, hook, requestId });
    expect(made.hook).toMatchObject({ secret: '', hasSecret: true });
    expect(await keptSecret(project, 'secretive')).toBe(secret);
    expect((await hooks().createHook({ project, hook, requestId })).hook).toEqual(made.hook);
    const guessed = { project, hook: { ...hook, secret: next }, requestId };
    const refused = await failure(hooks().createHook(guessed));
    expect(refused).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    const update = {
      ...{ project, hook: { hookName: 'secretive', secret: next } },
      ...{ updateMask: { paths: ['secret'] }, requestId: randomUUID() },
    };
    const answers: unknown[] = [made, refused, refused.message];
    answers.push(await hooks().updateHook(update), await hooks().updateHook(update));
    answers.push(await read('secretive'), await hooks().listHooks({ project, freshness }));
    answers.push(await failure(hooks().createHook({ ...guessed, requestId: randomUUID() })));
    expect(await keptSecret(project, 'secretive')).toBe(next);
    const told = JSON.stringify(answers, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    const rows = await everyRow();
    expect(rows).toContain('secretive');
    const digest = createHash('sha256').update(secret).digest('hex');
    const forms = [secret, btoa(secret).slice(0, 40), Buffer.from(secret).toString('hex'), digest];
    for (const form of forms) expect(`${told}\n${rows}`).not.toContain(form);
    expect(await read('secretive')).toMatchObject({ hasSecret: true, revision: 2n });
  });

  it('keeps a digest of a request that only the key can make', async () => {
    const hook = { hookName: 'guessed', eventTypes: ['*'], secret: 'correct horse battery' };
    const digests: (string | undefined)[] = [];
    for (const server of [service, service, rekeyed]) {
      const requestId = randomUUID();
      const client = server.doors[door].hooks;
      await client.createHook({ project, hook, requestId });
      await client.deleteHook({ project, hookName: 'guessed' });
      const [row] = await service.sql<{ digest: string }>(
        `select encode(request_sha256, 'hex') as digest from request_log where request_id = $1`,
        [requestId],
      );
      digests.push(row?.digest);
    }
    const [first, second, other] = digests;
    expect(first).toHaveLength(64);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  it('takes no secret without a key, and all else', async () => {
    const client = keyless.doors[door].hooks;
    const hook = { hookName: 'keyless', eventTypes: ['*'] };
    const secret = 'a secret of sixteen bytes';
    const missing = { reason: 'SECRET_KEY_MISSING' };
    const made = client.createHook({ project, hook: { ...hook, secret } });
    expect(await failure(made)).toMatchObject(missing);
    await client.createHook({ project, hook });
    const updateMask = { paths: ['secret'] };
    const signed = { project, hook: { ...hook, secret }, updateMask };
    expect(await failure(client.updateHook(signed))).toMatchObject(missing);
    await hooks().updateHook(signed);
    expect(await read('keyless')).toMatchObject({ hasSecret: true });
    expect((await client.updateHook({ project, hook, updateMask })).hook?.hasSecret).toBe(false);
  });

  it('takes a secret away, and leaves it alone where the mask does not name it', async () => {
    const secret = 'sixteen bytes it';
    await make('unsigned', { secret });
    const update = (paths: string[], hook: HookInit) =>
      hooks().updateHook({
        project,
        hook: { eventTypes: ['*'], ...hook, hookName: 'unsigned' },
        updateMask: { paths },
      });
    const described = await update(['*'], { description: 'all but the secret', secret: 'short' });
    expect(described.hook).toMatchObject({ hasSecret: true, revision: 2n });
    expect(await keptSecret(project, 'unsigned')).toBe(secret);
    const taken = await update(['secret'], {});
    expect(taken.hook).toMatchObject({ hasSecret: false, revision: 3n });
    expect(await keptSecret(project, 'unsigned')).toBeUndefined();
    const again = await update(['secret'], {});
    expect(again.hook).toEqual(taken.hook);
    const given = await update(['secret'], { secret });
    expect(given.hook).toMatchObject({ hasSecret: true, revision: 4n });
  });

  it('goes with its hook', async () => {
    await make('gone', { secret: 'a secret of sixteen bytes' });
    await hooks().deleteHook({ project, hookName: 'gone' });
    expect(await keptSecret(project, 'gone')).toBeUndefined();
    expect((await make('gone')).hook).toMatchObject({ hasSecret: false, revision: 1n });
  });
});

describe('the service', () => {
  it('may write secrets and see that there are some, and may not read one', async () => {
    const login = await service.database.connect(service.database.serviceUrl);
    await login.query('select hook_name from hook_secrets');
    for (const column of ['secret', 'key_id', '*']) {
      const attempt = login.query(`select ${column} from hook_secrets`);
      await expect(attempt, column).rejects.toMatchObject({ code: '42501' });
    }
  });
});
