// Hooks through both doors: registered, read, listed, changed and deleted.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HookSchema } from '../../gen/stowage/v1/hook_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

type HookInit = Exclude<MessageInitShape<typeof HookSchema>, { $typeName: string }>;

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** What the audit trail has of a hook, in order. */
async function trailOf(project: string, hookName: string) {
  const rows = await service.sql<{ action: string }>(
    `select action from storage_audit where project_id = $1 and metadata = $2 order by timestamp`,
    [project, { hook_name: hookName }],
  );
  return rows.map(({ action }) => action);
}

describe.each(doorNames)('hooks through %s', (door) => {
  const hooks = () => service.doors[door].hooks;
  const project = `hooks-${door.toLowerCase()}`;
  const freshness = strong;
  const full = {
    eventTypes: ['object.*', 'DOCUMENT_ARCHIVED'],
    keyPrefix: 'documents/',
    metadataFilter: { doc_type: 'Invoice', lines: { first: 1 } },
    target: 'https://erp.example/hooks?from=stowage',
    description: 'Tells the ERP of what is archived, Größe and all',
  };

  beforeAll(async () => {
    await service.doors[door].projects.createProject({ project: { project } });
  });

  const make = (hookName: string, hook: HookInit = {}) =>
    hooks().createHook({ project, hook: { eventTypes: ['*'], ...hook, hookName } });
  const read = async (hookName: string) =>
    (await hooks().getHook({ project, hookName, freshness })).hook;

  it('registers a hook, once for a request id, and reads it', async () => {
    const request = { project, hook: { hookName: 'erp_sync', ...full }, requestId: randomUUID() };
    const made = await hooks().createHook(request);
    expect(made.token).not.toBe('');
    expect(made.hook).toMatchObject({
      ...full,
      hookName: 'erp_sync',
      eventTypes: ['DOCUMENT_ARCHIVED', 'object.*'],
      secret: '',
      hasSecret: false,
      disabled: false,
      revision: 1n,
    });
    expect(made.hook?.createdAt).toEqual(made.hook?.updatedAt);
    expect((await hooks().createHook(request)).hook).toEqual(made.hook);
    expect(await read('erp_sync')).toEqual(made.hook);
    const other = { ...request, hook: { ...request.hook, description: 'another' } };
    expect(await failure(hooks().createHook(other))).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    expect(await failure(make('erp_sync'))).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { project, hook_name: 'erp_sync' },
    });
    expect(await trailOf(project, 'erp_sync')).toEqual(['CREATE_HOOK']);
    const changes = await service.sql('select from storage_changes where project_id = $1', [
      project,
    ]);
    expect(changes.length).toBe(1);
  });

  it('keeps each kind of event once, in byte order, with its wildcards', async () => {
    const eventTypes = ['b.**', 'a', 'b.*', 'Z', 'a'];
    expect((await make('kinds', { eventTypes })).hook?.eventTypes).toEqual(['Z', 'a', 'b.*']);
    expect(await read('kinds')).toMatchObject({ eventTypes: ['Z', 'a', 'b.*'], keyPrefix: '' });
  });

  it('changes what the mask names and nothing else', async () => {
    await make('masked', full);
    const update = (paths: string[], hook: HookInit, ifRevision?: bigint) =>
      hooks().updateHook({
        project,
        hook: { hookName: 'masked', ...hook },
        updateMask: { paths },
        ...(ifRevision === undefined ? {} : { ifRevision }),
      });
    const ignored = { description: 'not named', target: 'nor this: it is no URL' };
    const changed = await update(['disabled', 'key_prefix'], { ...ignored, disabled: true }, 1n);
    expect(changed.hook).toMatchObject({
      ...full,
      eventTypes: ['DOCUMENT_ARCHIVED', 'object.*'],
      keyPrefix: '',
      disabled: true,
      revision: 2n,
    });
    expect(await read('masked')).toEqual(changed.hook);
    expect(await failure(update(['disabled'], {}, 1n))).toMatchObject({
      reason: 'REVISION_MISMATCH',
      metadata: { revision: '2' },
    });
    const same = await update(['event_types', 'disabled', 'metadata_filter'], {
      eventTypes: [...full.eventTypes, 'object.*'],
      metadataFilter: { lines: { first: 1 }, doc_type: 'Invoice' },
      disabled: true,
    });
    expect(same.hook).toEqual(changed.hook);
    const all = await update(['*'], { eventTypes: ['x'], target: 'http://[::1]:8080' });
    expect(all.hook).toMatchObject({
      ...{ eventTypes: ['x'], target: 'http://[::1]:8080', disabled: false, description: '' },
      revision: 3n,
    });
    expect(all.hook?.metadataFilter).toBeUndefined();
    expect(await trailOf(project, 'masked')).toEqual(['CREATE_HOOK', 'UPDATE_HOOK', 'UPDATE_HOOK']);
  });

  it('answers a repeated update as before', async () => {
    await make('repeated');
    const request = {
      ...{ project, hook: { hookName: 'repeated', description: 'one' } },
      ...{ updateMask: { paths: ['description'] }, ifRevision: 1n, requestId: randomUUID() },
    };
    const first = await hooks().updateHook(request);
    expect(first.hook).toMatchObject({ description: 'one', revision: 2n });
    expect((await hooks().updateHook(request)).hook).toEqual(first.hook);
    const other = { ...request, updateMask: { paths: ['description', 'disabled'] } };
    expect(await failure(hooks().updateHook(other))).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });

  it('deletes a hook, and what is missing only when allowed', async () => {
    await make('gone');
    const request = { project, hookName: 'gone', requestId: randomUUID() };
    const wrong = hooks().deleteHook({ ...request, ifRevision: 2n });
    expect(await failure(wrong)).toMatchObject({ reason: 'REVISION_MISMATCH' });
    expect(await hooks().deleteHook({ ...request, ifRevision: 1n })).toMatchObject({
      deleted: true,
    });
    const repeated = await hooks().deleteHook({ ...request, ifRevision: 1n });
    expect(repeated).toMatchObject({ deleted: true });
    const missing = { reason: 'HOOK_NOT_FOUND', metadata: { project, hook_name: 'gone' } };
    const again = { project, hookName: 'gone' };
    expect(await failure(hooks().deleteHook(again))).toMatchObject(missing);
    expect(await failure(hooks().getHook({ ...again, freshness }))).toMatchObject(missing);
    const update = { project, hook: again, updateMask: { paths: ['disabled'] } };
    expect(await failure(hooks().updateHook(update))).toMatchObject(missing);
    const allowed = await hooks().deleteHook({ ...again, allowMissing: true });
    expect(allowed).toMatchObject({ deleted: false });
    expect(await trailOf(project, 'gone')).toEqual(['CREATE_HOOK', 'DELETE_HOOK']);
    expect((await make('gone')).hook?.revision).toBe(1n);
  });

  it('lists hooks in byte order of their names, page by page', async () => {
    const names = ['b', 'B', 'a-1', 'a', 'a_1'];
    const own = `${project}-listed`;
    await service.doors[door].projects.createProject({ project: { project: own } });
    for (const hookName of names) {
      await hooks().createHook({ project: own, hook: { hookName, eventTypes: ['*'] } });
    }
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await hooks().listHooks({ project: own, pageSize: 2, pageToken, freshness });
      seen.push(...page.hooks.map(({ hookName }) => hookName));
      pageToken = page.nextPageToken;
      if (pageToken !== '') {
        const foreign = hooks().listHooks({ project, pageToken, freshness });
        expect(await failure(foreign)).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
      }
    } while (pageToken !== '');
    expect(seen).toEqual(['B', 'a', 'a-1', 'a_1', 'b']);
  });

  it('ends a page of hooks at 1 MiB', async () => {
    const own = `${project}-large`;
    await service.doors[door].projects.createProject({ project: { project: own } });
    await service.sql(
      `insert into hooks (project_id, hook_name, event_types, description)
       select $1, 'h' || to_char(n, 'FM0000'), array['*'], repeat('x', 4000)
       from generate_series(1, 300) as n`,
      [own],
    );
    const page = await hooks().listHooks({ project: own, pageSize: 1000, freshness });
    expect(page.hooks.length).toBeGreaterThan(200);
    expect(page.hooks.length).toBeLessThan(270);
    const rest = { project: own, pageSize: 1000, pageToken: page.nextPageToken, freshness };
    const { hooks: others, nextPageToken } = await hooks().listHooks(rest);
    expect([page.hooks.length + others.length, nextPageToken]).toEqual([300, '']);
  });

  it('finds nothing in a project that is not there', async () => {
    const lost = { project: `${project}-none` };
    const hook = { hookName: 'h', eventTypes: ['*'] };
    const calls = [
      () => hooks().createHook({ ...lost, hook }),
      () => hooks().getHook({ ...lost, hookName: 'h', freshness }),
      () => hooks().listHooks({ ...lost, freshness }),
      () => hooks().updateHook({ ...lost, hook, updateMask: { paths: ['disabled'] } }),
      () => hooks().deleteHook({ ...lost, hookName: 'h', allowMissing: true }),
    ];
    for (const call of calls) {
      expect(await failure(call())).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
  });

  const spoilt: readonly (readonly [name: string, hook: HookInit, field: string])[] = [
    ['a name with a space', { hookName: 'a b' }, 'hook.hook_name'],
    ['no kind of event', { eventTypes: [] }, 'hook.event_types'],
    ['a kind with a space', { eventTypes: ['a b'] }, 'hook.event_types[0]'],
    ['65 kinds', { eventTypes: Array.from({ length: 65 }, (_, n) => `${n}`) }, 'hook.event_types'],
    ['a filter over 4 KiB', { metadataFilter: { a: 'x'.repeat(4096) } }, 'hook.metadata_filter'],
    ['a target without a host', { target: 'https://' }, 'hook.target'],
    ['a target of files', { target: 'file:///etc/passwd' }, 'hook.target'],
    ['a target with a user', { target: 'https://u:hidden@erp.example/' }, 'hook.target'],
    ['a target with an empty user', { target: 'https://@erp.example/' }, 'hook.target'],
    ['a target with a fragment', { target: 'https://erp.example/#' }, 'hook.target'],
    ['a target with a space', { target: ' https://erp.example/' }, 'hook.target'],
    ['a target with a backslash', { target: 'https:\\\\erp.example/' }, 'hook.target'],
    ['a target over 2048 bytes', { target: `https://e/${'x'.repeat(2048)}` }, 'hook.target'],
    ['a secret of 15 bytes', { secret: 'hidden hidden h' }, 'hook.secret'],
    ['a secret over 256 bytes', { secret: 'hidden '.repeat(40) }, 'hook.secret'],
    ['a NUL in a description', { description: '\0' }, 'hook.description'],
  ];

  it.each(spoilt)('refuses %s and names the field', async (_name, fields, field) => {
    const hook = { hookName: 'spoilt', eventTypes: ['*'], ...fields };
    const refused = await failure(hooks().createHook({ project, hook }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', retry: 'never' });
    expect(refused.violations.map((violation) => violation.field)).toEqual([field]);
    expect(JSON.stringify(refused)).not.toContain('hidden');
    const kept = hooks().getHook({ project, hookName: 'spoilt', freshness });
    expect(await failure(kept)).toMatchObject({ reason: 'HOOK_NOT_FOUND' });
  });

  it.each([
    ['nothing', []],
    ['the name', ['hook_name']],
    ['an output', ['has_secret']],
    ['everything and more', ['*', 'secret']],
    ['101 paths', Array.from({ length: 101 }, () => 'disabled')],
  ])('refuses a mask that names %s', async (_name, paths) => {
    const hook = { hookName: 'erp_sync' };
    const refused = await failure(hooks().updateHook({ project, hook, updateMask: { paths } }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['update_mask']);
  });
});
