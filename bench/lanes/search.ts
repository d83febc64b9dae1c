/**
 * SearchObjects through the gRPC door on the tree of the list lane: the best 50 of a thousand and
 * of a hundred thousand matches. Naive peer: ranking every match in SQL. Work: calls, one at a
 * time.
 */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  SearchObjectsRequestSchema,
  SearchObjectsResponseSchema,
  SearchSyntax,
} from '../../gen/stowage/v1/storage_search_pb.js';
import type { Lane, Subject } from '../frame/lane.js';
import { timedCalls } from '../frame/timed-calls.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';
import { COMMON_WORD, RARE_WORD, treeDatabase } from '../rig/tree.js';

const PATH = '/stowage.v1.StorageService/SearchObjects';
const HITS = 50;

type Request = MessageInitShape<typeof SearchObjectsRequestSchema>;

export const search: Lane = {
  name: 'search',
  summary: 'SearchObjects, the best 50; the median of single calls',
  rowsDefault: 1_000_000,
  rows: [
    {
      ...{ name: 'rare', subject: 'rare', measure: 'callMs', unit: 'ms', better: 'lower' },
      ...{ must: 10, aim: 5 },
    },
    {
      ...{ name: 'common', subject: 'common', measure: 'callMs', unit: 'ms', better: 'lower' },
      ...{ must: 60, aim: 20 },
    },
    {
      ...{ name: 'both', subject: 'both', measure: 'callMs', unit: 'ms', better: 'lower' },
    },
    {
      ...{ name: 'prefix', subject: 'prefix', measure: 'callMs', unit: 'ms', better: 'lower' },
    },
    {
      ...{ name: 'substring', subject: 'substring', measure: 'callMs', unit: 'ms' },
      better: 'lower',
    },
    {
      ...{ name: 'similar', subject: 'similar', measure: 'callMs', unit: 'ms', better: 'lower' },
    },
    {
      ...{ name: 'naive', subject: 'naive', measure: 'callMs', unit: 'ms', against: 'common' },
      better: 'higher',
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await treeDatabase(rig);
  const server = await rig.startServer(database);
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  const plain = await rig.connect(database.primaryUrl);
  const searching = (request: Request): Subject => {
    const message = encode({ pageSize: HITS, ...request });
    return async () => {
      const page = fromBinary(SearchObjectsResponseSchema, await caller.unary(PATH, message));
      if (page.hits.length !== HITS) throw new Error(`${page.hits.length} hits came`);
      return timedCalls(() => caller.unary(PATH, message));
    };
  };
  const { TSQUERY, KEY_SUBSTRING, KEY_SIMILAR } = SearchSyntax;
  return {
    rare: searching({ query: RARE_WORD }),
    common: searching({ query: COMMON_WORD }),
    both: searching({ query: `${COMMON_WORD} & ${RARE_WORD}`, syntax: TSQUERY }),
    prefix: searching({ query: `${COMMON_WORD.slice(0, 4)}:*`, syntax: TSQUERY }),
    substring: searching({ query: 'voice-4242', syntax: KEY_SUBSTRING }),
    similar: searching({ query: 'documents/0042/invoice', syntax: KEY_SIMILAR }),
    naive: async () => {
      const begun = performance.now();
      await plain.query(
        `select object_key, ts_rank(search_vector, websearch_to_tsquery('simple', $2)) as score
         from storage_search
         where project_id = $1 and search_vector @@ websearch_to_tsquery('simple', $2)
         order by score desc, object_key limit $3`,
        [PROJECT, COMMON_WORD, HITS],
      );
      return { callMs: performance.now() - begun };
    },
  };
}

function encode(request: Request): Buffer {
  const message = create(SearchObjectsRequestSchema, { project: PROJECT, ...request });
  return Buffer.from(toBinary(SearchObjectsRequestSchema, message));
}
