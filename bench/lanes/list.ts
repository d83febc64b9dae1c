/**
 * ListObjects through the gRPC door on a tree of a million keys. Limits: the first page, for deep
 * ones; a folder of ten keys, for one of all. Naive peers: OFFSET, and DISTINCT over all keys.
 * Work: calls, one at a time.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type pg from 'pg';
import {
  ListObjectsRequestSchema,
  type ListObjectsResponse,
  ListObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import type { Lane, Subject } from '../frame/lane.js';
import { timedCalls } from '../frame/timed-calls.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';
import { TINY, treeDatabase } from '../rig/tree.js';

const PATH = '/stowage.v1.StorageService/ListObjects';
const PAGE = 100;
/** How deep the deep pages are, of all keys. */
const DEPTH = 0.9;

type Request = MessageInitShape<typeof ListObjectsRequestSchema>;

export const list: Lane = {
  name: 'list',
  summary: 'ListObjects on a tree of a million keys; the median of single calls',
  rowsDefault: 1_000_000,
  rows: [
    {
      ...{ name: 'deep', subject: 'deep', measure: 'callMs', unit: 'ms', against: 'first' },
      ...{ better: 'lower', must: 2, aim: 1.2 },
    },
    {
      ...{ name: 'deep-by-time', subject: 'deepByTime', measure: 'callMs', unit: 'ms' },
      ...{ against: 'firstByTime', better: 'lower', must: 2, aim: 1.2 },
    },
    {
      ...{ name: 'folders', subject: 'folders', measure: 'callMs', unit: 'ms' },
      ...{ better: 'lower', must: 10, aim: 4 },
    },
    {
      ...{ name: 'folder-of-all', subject: 'foldAll', measure: 'callMs', unit: 'ms' },
      ...{ against: 'foldTen', better: 'lower', must: 2, aim: 1.2 },
    },
    {
      ...{ name: 'naive-folders', subject: 'distinct', measure: 'callMs', unit: 'ms' },
      ...{ against: 'folders', better: 'higher' },
    },
    {
      ...{ name: 'naive-deep', subject: 'offset', measure: 'callMs', unit: 'ms' },
      ...{ against: 'deep', better: 'higher' },
    },
    {
      ...{ name: 'filter-common', subject: 'filterCommon', measure: 'callMs', unit: 'ms' },
      ...{ against: 'first', better: 'lower' },
    },
    {
      ...{ name: 'filter-rare', subject: 'filterRare', measure: 'callMs', unit: 'ms' },
      ...{ against: 'first', better: 'lower' },
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await treeDatabase(rig);
  const server = await rig.startServer(database);
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  const pages = new Pages(caller);
  const plain = await rig.connect(database.primaryUrl);
  rig.progress('walking to the deep pages');
  const depth = Math.floor(rig.rows * DEPTH);
  const deepToken = await pages.walk({}, depth);
  const byTime = { orderBy: 'last_modified' };
  const deepTimeToken = await pages.walk(byTime, depth);
  const folders = { prefix: 'documents/', delimiter: '/' };
  return {
    first: pages.subject({}),
    deep: pages.subject({ pageToken: deepToken }),
    firstByTime: pages.subject(byTime),
    deepByTime: pages.subject({ ...byTime, pageToken: deepTimeToken }),
    folders: pages.subject(folders),
    foldAll: pages.subject({ prefix: 'docu', delimiter: '/' }, 1),
    foldTen: pages.subject({ prefix: TINY.slice(0, 2), delimiter: '/' }, 1),
    filterCommon: pages.subject({ metadataFilter: { department: 'finance' } }),
    filterRare: pages.subject({ metadataFilter: { craft: 'zeppelin' } }),
    distinct: sqlSubject(
      plain,
      `select distinct split_part(object_key, '/', 2) from storage_objects
       where project_id = '${PROJECT}' and deleted_at is null
         and object_key >= 'documents/' and object_key < 'documents0' limit ${PAGE}`,
    ),
    offset: sqlSubject(
      plain,
      `select object_key, size from storage_objects
       where project_id = '${PROJECT}' and deleted_at is null
       order by object_key offset ${depth} limit ${PAGE}`,
    ),
  };
}

/** Lists by calls that are neither encoded nor decoded while they are timed. */
class Pages {
  readonly #caller: GrpcCaller;

  constructor(caller: GrpcCaller) {
    this.#caller = caller;
  }

  /** One page, a few times over. */
  subject(request: Request, entries = PAGE): Subject {
    const message = encode({ pageSize: PAGE, ...request });
    return async () => {
      const page = decode(await this.#caller.unary(PATH, message));
      const found = page.objects.length + page.folders.length;
      if (found !== entries) throw new Error(`${found} entries came, not ${entries}`);
      return timedCalls(() => this.#caller.unary(PATH, message));
    };
  }

  /** The token behind the first `depth` objects. */
  async walk(request: Request, depth: number): Promise<string> {
    let pageToken = '';
    for (let seen = 0; seen < depth; ) {
      const page = decode(
        await this.#caller.unary(PATH, encode({ ...request, pageSize: 1000, pageToken })),
      );
      seen += page.objects.length;
      pageToken = page.nextPageToken;
      if (pageToken === '') throw new Error(`the list ends after ${seen} objects`);
    }
    return pageToken;
  }
}

function encode(request: Request): Buffer {
  const message = create(ListObjectsRequestSchema, { project: PROJECT, ...request });
  return Buffer.from(toBinary(ListObjectsRequestSchema, message));
}

function decode(bytes: Buffer): ListObjectsResponse {
  return fromBinary(ListObjectsResponseSchema, bytes);
}

/** The naive way in SQL; once a repetition, for it takes its time. */
function sqlSubject(client: pg.Client, text: string): Subject {
  return async () => {
    const begun = performance.now();
    await client.query(text);
    return { callMs: performance.now() - begun };
  };
}
