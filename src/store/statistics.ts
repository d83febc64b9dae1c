/**
 * Figures of a project. Each is counted as long as that is cheap, and estimated beyond: a call
 * costs the same at ten million objects as at one.
 */

import { create } from '@bufbuild/protobuf';
import {
  type BackendStatistics,
  BackendStatisticsSchema,
  type Figure,
  FigureSchema,
  type GetStatisticsResponse,
  GetStatisticsResponseSchema,
} from '../../gen/stowage/v1/storage_report_pb.js';
import type { Call } from '../postgres/call.js';
import { compareKeys } from './object-keys.js';
import { requireProject } from './objects.js';
import {
  auditEvents,
  backendObjects,
  type ContentRow,
  countedObjects,
  countedVersions,
  hookExecutions,
  largestObjects,
  sampledObjects,
  sampledVersions,
} from './statistics.sql.js';
import type { Store } from './store.js';

/** How much a figure may read. */
export interface StatisticsBounds {
  /** Rows that are counted at most. */
  readonly rowsMax: number;
  /** Pages that a sample has at most, on average. */
  readonly pagesMax: number;
}

/** On a million objects either takes a tenth of a second: so many entries, or so many pages. */
const BOUNDS: StatisticsBounds = { rowsMax: 250_000, pagesMax: 5_000 };

/** One in so many of the rows that could be counted are the largest, which no sample is left. */
const LARGEST_SHARE = 10;

const BACKENDS_MAX = 1000;
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Reads the figures, one after the other: they are not of one moment.
 * @param bounds by default what is cheap
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function readStatistics(
  store: Store,
  call: Call,
  bounds: StatisticsBounds = BOUNDS,
): Promise<GetStatisticsResponse> {
  await requireProject(store, call);
  const content = await readContent(store, call, bounds);
  return create(GetStatisticsResponseSchema, {
    ...content,
    versions: await readVersions(store, call, bounds),
    auditEvents24h: await readDay(store, call, bounds, auditEvents),
    hookExecutions24h: await readDay(store, call, bounds, hookExecutions),
  });
}

type Content = Pick<GetStatisticsResponse, 'backends'> & { objects: Figure; bytes: Figure };

async function readContent(
  store: Store,
  call: Call,
  { rowsMax, pagesMax }: StatisticsBounds,
): Promise<Content> {
  const run = store.router.run.bind(store.router);
  const [counted] = await run(countedObjects, [call.project, rowsMax], call);
  const { looked = 0n, pages = 0n } = counted ?? {};
  if (looked <= BigInt(rowsMax)) {
    return contentOf([await run(backendObjects, [call.project, rowsMax], call)], true);
  }
  const largestMax = Math.ceil(rowsMax / LARGEST_SHARE);
  const largest = await run(largestObjects, [call.project, largestMax], call);
  const least = largest[0]?.least ?? null;
  const params = [call.project, least, percentOf(pages, pagesMax), pages];
  return contentOf([largest, await run(sampledObjects, params, call)], false);
}

/** Adds up what was counted and what was estimated. */
function contentOf(parts: readonly (readonly ContentRow[])[], exact: boolean): Content {
  const backends = new Map<string, BackendStatistics>();
  for (const row of parts.flat()) {
    if (row.storage_backend === null) continue;
    const { objects, bytes } = backends.get(row.storage_backend) ?? {};
    const sum = {
      storageBackend: row.storage_backend,
      objects: figure((objects?.value ?? 0n) + row.objects, exact),
      bytes: figure((bytes?.value ?? 0n) + row.bytes, exact),
    };
    backends.set(row.storage_backend, create(BackendStatisticsSchema, sum));
  }
  const total = (of: (row: ContentRow) => bigint): Figure =>
    figure(
      parts.reduce((sum, [first]) => sum + (first === undefined ? 0n : of(first)), 0n),
      exact,
    );
  return {
    backends: [...backends.values()]
      .sort((left, right) => compareKeys(left.storageBackend, right.storageBackend))
      .slice(0, BACKENDS_MAX),
    objects: total((row) => row.all_objects),
    bytes: total((row) => row.all_bytes),
  };
}

async function readVersions(
  store: Store,
  call: Call,
  { rowsMax, pagesMax }: StatisticsBounds,
): Promise<Figure> {
  const [counted] = await store.router.run(countedVersions, [call.project, rowsMax], call);
  const { looked = 0n, pages = 0n } = counted ?? {};
  if (looked <= BigInt(rowsMax)) return figure(looked, true);
  const params = [call.project, percentOf(pages, pagesMax), pages];
  const [sampled] = await store.router.run(sampledVersions, params, call);
  return figure(sampled?.versions ?? 0n, false);
}

async function readDay(
  store: Store,
  call: Call,
  { rowsMax }: StatisticsBounds,
  { newest, older }: typeof auditEvents,
): Promise<Figure> {
  const [counted] = await store.router.run(newest, [call.project, rowsMax], call);
  const { looked = 0n, oldest = null } = counted ?? {};
  if (counted === undefined || looked <= BigInt(rowsMax)) return figure(looked, true);
  const [sampled] = await store.router.run(older, [call.project, oldest], call);
  return figure(counted.newest + (sampled?.rows ?? 0n), false);
}

/** The share of a table's pages that comes to `pagesMax`. */
function percentOf(pages: bigint, pagesMax: number): number {
  return Math.min(100, (100 * pagesMax) / Math.max(1, Number(pages)));
}

/** Where the number ends it may stand for more, and the statements cut it there too. */
function figure(value: bigint, exact: boolean): Figure {
  return value < INT64_MAX
    ? create(FigureSchema, { value, exact })
    : create(FigureSchema, { value: INT64_MAX, exact: false });
}
