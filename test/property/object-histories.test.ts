/** Random histories of a few keys through the service end as a simple model says they must. */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** Few, so that histories meet; of four scripts. */
const names = ['a', 'ä', 'ж', '文/🎉'] as const;

/** What is known of a key that was ever recorded. */
interface Known {
  live: boolean;
  etag: string;
  owner: string;
  revision: bigint;
  /** Versions that its history has appended, delete markers among them. */
  versions: number;
}

type Step =
  | { readonly kind: 'record' | 'update'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete' | 'undelete'; readonly key: string }
  | { readonly kind: 'batchDelete'; readonly keys: readonly string[] }
  | { readonly kind: 'move'; readonly key: string; readonly to: string };

const key = fc.constantFrom(...names);
const value = fc.constantFrom('e1', 'e2', 'e3');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('record' as const), key, value }),
  fc.record({ kind: fc.constant('update' as const), key, value }),
  fc.record({ kind: fc.constantFrom('delete' as const, 'undelete' as const), key }),
  fc.record({
    kind: fc.constant('batchDelete' as const),
    keys: fc.uniqueArray(key, { minLength: 1 }),
  }),
  fc.record({ kind: fc.constant('move' as const), key, to: key }),
);

/** The reason by which a step must be refused; undefined where it must be done. */
type Refusal = string | undefined;

class Model {
  readonly known = new Map<string, Known>();

  #live(name: string): Known | undefined {
    const known = this.known.get(name);
    return known?.live ? known : undefined;
  }

  apply(step: Step): Refusal {
    switch (step.kind) {
      case 'record':
        return this.#record(step.key, step.value, this.#live(step.key)?.owner ?? '');
      case 'update':
        return this.#update(step.key, step.value);
      case 'delete':
        return this.#delete([step.key]);
      case 'batchDelete':
        return this.#delete(step.keys);
      case 'undelete':
        return this.#undelete(step.key);
      case 'move':
        return this.#move(step.key, step.to);
    }
  }

  #record(name: string, etag: string, owner: string): Refusal {
    if (this.#live(name)?.etag === etag) return undefined;
    const { revision, versions } = this.known.get(name) ?? { revision: 0n, versions: 0 };
    const next = { revision: revision + 1n, versions: versions + 1 };
    this.known.set(name, { live: true, etag, owner, ...next });
    return undefined;
  }

  #update(name: string, owner: string): Refusal {
    const known = this.#live(name);
    if (known === undefined) return 'OBJECT_NOT_FOUND';
    if (known.owner !== owner) known.revision += 1n;
    known.owner = owner;
    return undefined;
  }

  #delete(keys: readonly string[]): Refusal {
    const living = keys.map((name) => this.#live(name));
    if (living.includes(undefined)) return 'OBJECT_NOT_FOUND';
    for (const known of living) {
      if (known === undefined) continue;
      known.live = false;
      known.revision += 1n;
      known.versions += 1;
    }
    return undefined;
  }

  #undelete(name: string): Refusal {
    const known = this.known.get(name);
    if (known === undefined) return 'OBJECT_NOT_FOUND';
    if (known.live) return 'ALREADY_EXISTS';
    known.live = true;
    known.revision += 1n;
    return undefined;
  }

  #move(from: string, to: string): Refusal {
    if (from === to) return 'INVALID_REQUEST';
    const source = this.#live(from);
    if (source === undefined) return 'OBJECT_NOT_FOUND';
    if (this.#live(to) !== undefined) return 'ALREADY_EXISTS';
    this.#record(to, source.etag, source.owner);
    return this.#delete([from]);
  }
}

/** Sends a step to the service; `at` makes a key of a name. */
function send(step: Step, model: Model, at: (name: string) => string): Promise<unknown> {
  const { storage } = service.doors.gRPC;
  switch (step.kind) {
    case 'record': {
      const known = model.known.get(step.key);
      const owner = known?.live ? known.owner : '';
      const object = { objectKey: at(step.key), storageBackend: 's3', etag: step.value, owner };
      return storage.recordObject({ object });
    }
    case 'update': {
      const object = { objectKey: at(step.key), owner: step.value };
      return storage.updateObject({ object, updateMask: { paths: ['owner'] } });
    }
    case 'delete':
      return storage.deleteObject({ objectKey: at(step.key) });
    case 'undelete':
      return storage.undeleteObject({ objectKey: at(step.key) });
    case 'batchDelete':
      return storage.batchDeleteObjects({
        requests: step.keys.map((name) => ({ objectKey: at(name) })),
      });
    case 'move':
      return storage.moveObject({ sourceKey: at(step.key), destinationKey: at(step.to) });
  }
}

/** What the database has of each key, deleted ones included. */
async function rowsUnder(prefix: string) {
  return service.sql<{
    name: string;
    live: boolean;
    etag: string;
    owner: string;
    revision: string;
    fed: string[];
    fed_latest: boolean;
    latest: string;
    latest_is_marker: boolean;
    versions: number;
  }>(
    `select substr(o.object_key, length($1) + 1) as name, o.deleted_at is null as live, o.etag,
       o.owner, o.revision::text, v.etag as latest, v.delete_marker as latest_is_marker,
       (select count(*)::int from storage_versions c where c.object_key = o.object_key)
         as versions,
       array(select c.revision::text from storage_changes c
             where c.object_key = o.object_key order by c.seq) as fed,
       (select c.version_id = o.version_id from storage_changes c
        where c.object_key = o.object_key order by c.seq desc limit 1) as fed_latest
     from storage_objects o
     left join storage_versions v using (project_id, object_key, version_id)
     where starts_with(o.object_key, $1)`,
    [prefix],
  );
}

let runs = 0;

it('every history leaves the rows, versions and changes that the model says', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
    runs += 1;
    const prefix = `${runs}/`;
    const model = new Model();
    for (const each of steps) {
      const sent = send(each, model, (name) => prefix + name);
      const refusal = model.apply(each);
      if (refusal === undefined) await sent;
      else expect((await failure(sent)).reason).toBe(refusal);
    }
    const rows = await rowsUnder(prefix);
    expect(new Set(rows.map(({ name }) => name))).toEqual(new Set(model.known.keys()));
    for (const row of rows) {
      const known = model.known.get(row.name);
      const { live, etag, owner, versions, revision } = known ?? {};
      expect(row).toMatchObject({ live, etag, owner, versions, revision: String(revision) });
      const rising = Array.from({ length: Number(revision) }, (_, at) => String(at + 1));
      expect(row.fed).toEqual(rising);
      expect(row.fed_latest).toBe(true);
      expect(row.latest_is_marker).toBe(!live);
      expect(row.latest).toBe(live ? etag : '');
    }
    const { storage } = service.doors.gRPC;
    const page = await storage.listObjects({ prefix, freshness: strong });
    const living = [...model.known].filter(([, known]) => known.live);
    expect(page.objects.map(({ objectKey }) => objectKey).sort()).toEqual(
      living.map(([name]) => prefix + name).sort(),
    );
  });
  await fc.assert(property, { numRuns: 100 });
});
