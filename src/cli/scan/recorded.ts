/** The recorded side of a scan: the objects under a prefix, through every break of the stream. */

import type { StorageObject } from '../../../gen/stowage/v1/storage_object_pb.js';
import { type Client, lostConnection, type StorageService } from '../../client/index.js';
import { strong } from '../call.js';
import type { Patience } from './backoff.js';
import type { RecordedFile } from './merge.js';

/** Which objects to read. */
export interface RecordedOptions {
  readonly project: string;
  readonly prefix: string;
  readonly backend: string;
  readonly signal: AbortSignal;
  readonly patience: Patience;
}

function toRecordedFile(object: StorageObject): RecordedFile {
  const time = object.lastModified;
  return {
    key: object.objectKey,
    size: object.size,
    lastModifiedUs:
      time === undefined ? undefined : time.seconds * 1_000_000n + BigInt(time.nanos) / 1000n,
    revision: object.revision,
  };
}

/**
 * Streams the recorded objects in byte order of their keys. A broken stream is resumed behind the
 * last message that arrived. The primary is asked, because a standby that is behind would show
 * files that the scan before recorded as not recorded.
 *
 * @throws {CallError} what does not pass, or did not within the bounds of the patience
 */
export async function* recordedFiles(
  client: Client<typeof StorageService>,
  options: RecordedOptions,
): AsyncGenerator<RecordedFile, void, void> {
  const { project, prefix, backend, signal, patience } = options;
  let resumeToken = '';
  for (;;) {
    const request = {
      project,
      prefix,
      storageBackend: backend,
      resumeToken,
      freshness: strong,
    };
    let isWhole = false;
    try {
      for await (const message of client.streamObjects(request, { signal })) {
        patience.progress();
        for (const object of message.objects) yield toRecordedFile(object);
        if (message.resumeToken !== '') resumeToken = message.resumeToken;
        isWhole ||= message.summary !== undefined;
      }
      if (!isWhole) throw lostConnection('the stream of objects ended without its summary');
    } catch (error) {
      if (!isWhole) await patience.waitOut(error);
    }
    if (isWhole) return;
  }
}
