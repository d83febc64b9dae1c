/** The audit row of an operation that changes no resource of a project, in a commit of its own. */

import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import type { JsonMap } from '../lib/canonical-json.js';
import type { Call } from '../postgres/call.js';
import { commit, type Writer } from './commit.js';
import { digestOf } from './digest.js';

/** Writes the row; its metadata are `operation`. @throws StowageError those of `commit` */
export async function auditOperation(
  writer: Writer,
  call: Call,
  action: string,
  operation: JsonMap,
): Promise<void> {
  await commit(writer, call, {
    action,
    requestId: '',
    digest: () => digestOf(operation),
    projectMustExist: false,
    responseSchema: EmptySchema,
    write: async () => ({ response: create(EmptySchema), changes: [], operation }),
  });
}
