/**
 * Indexes of paths of the metadata, made and dropped by the schema's owner while the service goes
 * on. One command at a time. What is asked for stands in `metadata_indexes`, what is ready in
 * PostgreSQL's own catalogue.
 */

import pg, { type Client } from 'pg';
import { invalidField, StowageError } from '../errors.js';
import { type AdminDatabase, withAdminConnection } from './admin-connection.js';
import { type BuildProgress, watchBuild } from './build-progress.js';
import {
  type MetadataType,
  metadataIndexName,
  metadataNames,
  metadataValue,
} from './metadata-path.js';
import { encodeParameter } from './parameters.js';

/** Each index makes recording dearer. */
const INDEXES_MAX = 16;

/**
 * How long a command waits for the transactions that were running when it began: it cannot end
 * before them.
 */
const OLD_TRANSACTIONS_WAIT_MS = 600_000;

/** How long a failed build's remains wait for them. */
const CLEAN_UP_WAIT_MS = 2_000;

const ROOT = 'metadata.';

/** Which index. */
export interface MetadataIndexOptions {
  /** As the owner of the schema. */
  readonly database: AdminDatabase;
  /** From the object down, such as `metadata.camera.model`. */
  readonly path: string;
  readonly type: MetadataType;
  /** Told what is done beside what was asked; default: nobody. */
  readonly log?: (line: string) => void;
}

/** How an index is. */
export interface MetadataIndexStatus {
  readonly path: string;
  readonly type: MetadataType;
  /** `unfinished`: what built it has died; to add it again begins anew. */
  readonly state: 'ready' | 'building' | 'unfinished';
  readonly bytes: number;
  /** How often the primary has read it. */
  readonly scans: number;
}

/**
 * Makes an index without stopping writes, and says whether it did: false where it was there. One
 * that was left unfinished is dropped first.
 * @throws StowageError INVALID_REQUEST for a path beyond its bounds and beyond 16 indexes;
 *   SCHEMA_MISMATCH, OVERLOADED while another command runs, NO_PRIMARY; INTERNAL where the build
 *   fails, with whether anything of it is left.
 */
export async function addMetadataIndex(
  options: MetadataIndexOptions & { readonly onProgress?: (progress: BuildProgress) => void },
): Promise<boolean> {
  const { database, type, log = () => undefined, onProgress } = options;
  const names = namesOf(options.path);
  const path = names.join('.');
  return withTurn(database, async (client) => {
    const known = await readStatus(client);
    const found = known.find((each) => each.path === path && each.type === type);
    if (found?.state === 'ready') return false;
    if (found === undefined && known.length >= INDEXES_MAX) {
      throw invalidField('path', `there are ${INDEXES_MAX} indexes already; drop one first`);
    }
    const index = metadataIndexName(names, type);
    await client.query(
      `insert into public.metadata_indexes (path, type, index_name) values ($1, $2, $3)
       on conflict do nothing`,
      [path, type, index],
    );
    if (await dropIndex(client, index)) log('dropped what was left of a build that did not end');
    try {
      const build = client.query(buildText(index, names, type));
      await (onProgress === undefined ? build : watchBuild(database, client, build, onProgress));
    } catch (error) {
      const isGone = await cleanUp(client, path, type, index);
      const left = isGone ? 'nothing of it is left' : 'what is left goes with the next try';
      throw failure(`The index was not built; ${left}`, error);
    }
    return true;
  });
}

/**
 * Drops an index without stopping anybody.
 * @throws StowageError INVALID_REQUEST where there is none; SCHEMA_MISMATCH, OVERLOADED,
 *   NO_PRIMARY; INTERNAL where it fails: it can be repeated.
 */
export async function dropMetadataIndex(options: MetadataIndexOptions): Promise<void> {
  const { database, type } = options;
  const names = namesOf(options.path);
  const path = names.join('.');
  await withTurn(database, async (client) => {
    const known = await readStatus(client);
    if (!known.some((each) => each.path === path && each.type === type)) {
      throw invalidField('path', `there is no index of ${ROOT}${path} for values of type ${type}`);
    }
    try {
      await forget(client, path, type, metadataIndexName(names, type));
    } catch (error) {
      throw failure('The index was not dropped; repeat the command', error);
    }
  });
}

/**
 * Lists the indexes by path.
 * @throws StowageError SCHEMA_MISMATCH, NO_PRIMARY.
 */
export async function listMetadataIndexes(
  database: AdminDatabase,
): Promise<readonly MetadataIndexStatus[]> {
  return withAdminConnection(database, async (client) => {
    await requireTable(client);
    return readStatus(client);
  });
}

function namesOf(path: string): readonly string[] {
  if (!path.startsWith(ROOT)) throw invalidField('path', `begins with ${ROOT}, as metadata.owner`);
  return metadataNames('path', path.slice(ROOT.length));
}

/**
 * A second command is refused and not kept waiting: a build waits for all who wait in a statement,
 * so the two would wait for each other.
 */
async function withTurn<T>(
  database: AdminDatabase,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  return withAdminConnection(database, async (client) => {
    await requireTable(client);
    await setLockTimeout(client, OLD_TRANSACTIONS_WAIT_MS);
    const turn = await client.query<{ taken: boolean }>(
      "select pg_try_advisory_lock(hashtextextended('stowage_index', 0)) as taken",
    );
    if (turn.rows[0]?.taken !== true) {
      throw new StowageError('OVERLOADED', {
        message: 'Another index is being built or dropped; repeat the command when that is done.',
      });
    }
    return body(client);
  });
}

async function requireTable(client: Client): Promise<void> {
  const table = await client.query<{ there: boolean }>(
    "select to_regclass('public.metadata_indexes') is not null as there",
  );
  if (table.rows[0]?.there !== true) throw new StowageError('SCHEMA_MISMATCH');
}

/** The names are escaped: a statement of DDL has no parameters. */
function buildText(index: string, names: readonly string[], type: MetadataType): string {
  const literal = `${pg.escapeLiteral(String(encodeParameter(names)))}::text[]`;
  const value = metadataValue[type](literal);
  return `create index concurrently ${pg.escapeIdentifier(index)}
    on public.storage_objects (project_id, ${value}, object_key)
    where deleted_at is null and ${value} is not null`;
}

async function forget(
  client: Client,
  path: string,
  type: MetadataType,
  index: string,
): Promise<void> {
  await dropIndex(client, index);
  await client.query('delete from public.metadata_indexes where path = $1 and type = $2', [
    path,
    type,
  ]);
}

/**
 * After a build that failed; whether that succeeded. What held the build up may hold this up too,
 * and a second wait of that length would only keep the reason from whoever waits for it.
 */
async function cleanUp(
  client: Client,
  path: string,
  type: MetadataType,
  index: string,
): Promise<boolean> {
  try {
    await setLockTimeout(client, CLEAN_UP_WAIT_MS);
    await forget(client, path, type, index);
    return true;
  } catch {
    return false;
  }
}

async function setLockTimeout(client: Client, timeoutMs: number): Promise<void> {
  await client.query("select set_config('lock_timeout', $1, false)", [String(timeoutMs)]);
}

/** Whether there was one. */
async function dropIndex(client: Client, index: string): Promise<boolean> {
  const name = `public.${pg.escapeIdentifier(index)}`;
  const found = await client.query('select where to_regclass($1) is not null', [name]);
  if (found.rowCount === 0) return false;
  await client.query(`drop index concurrently if exists ${name}`);
  return true;
}

async function readStatus(client: Client): Promise<readonly MetadataIndexStatus[]> {
  const indexes = await client.query<{
    path: string;
    type: MetadataType;
    valid: boolean;
    building: boolean;
    bytes: string;
    scans: string;
  }>(
    `select path, type, coalesce(indisvalid, false) as valid,
       exists (
         select from pg_stat_progress_create_index where index_relid = pg_class.oid
       ) as building,
       coalesce(pg_relation_size(pg_class.oid), 0) as bytes, coalesce(idx_scan, 0) as scans
     from public.metadata_indexes
     left join pg_class on relname = index_name and relnamespace = 'public'::regnamespace
     left join pg_index on pg_index.indexrelid = pg_class.oid
     left join pg_stat_user_indexes as used on used.indexrelid = pg_class.oid
     order by path, type`,
  );
  return indexes.rows.map(({ path, type, valid, building, bytes, scans }) => {
    const unready = building ? 'building' : 'unfinished';
    return {
      ...{ path, type, state: valid ? 'ready' : unready },
      ...{ bytes: Number(bytes), scans: Number(scans) },
    };
  });
}

function failure(sentence: string, error: unknown): StowageError {
  const reason = error instanceof Error ? error.message : String(error);
  return new StowageError('INTERNAL', { message: `${sentence}: ${reason}`, cause: error });
}
