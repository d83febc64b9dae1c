/** Objects that are not recorded yet, as a scan of a folder finds them: in key order. */

import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { IngestObjectsRequestSchema } from '../../gen/stowage/v1/storage_record_pb.js';
import { objectMetadata, PROJECT } from './objects.js';

/** One object to record. */
export interface IngestedObject {
  readonly key: string;
  readonly size: number;
  readonly contentType: string;
  readonly etag: string;
  readonly lastModified: Date;
  readonly storageBackend: string;
  readonly storageClass: string;
  readonly metadata: JsonObject;
  readonly owner: string;
}

const EPOCH_MS = Date.UTC(2026, 0, 1);
const FILES_PER_FOLDER = 100;

/** Makes `count` objects below a folder of their own. */
export function ingestedObjects(folder: string, count: number): IngestedObject[] {
  return Array.from({ length: count }, (_, n) => {
    const inner = String(Math.floor(n / FILES_PER_FOLDER)).padStart(6, '0');
    const file = String(n % FILES_PER_FOLDER).padStart(2, '0');
    return {
      key: `${folder}/${inner}/invoice-${file}.pdf`,
      size: n * 4099,
      contentType: 'application/pdf',
      etag: (n * 2_654_435_761).toString(16).padStart(32, '0'),
      lastModified: new Date(EPOCH_MS + n * 1000),
      storageBackend: 's3',
      storageClass: 'STANDARD',
      metadata: objectMetadata(n),
      owner: `owner-${n % 100}`,
    };
  });
}

/** Requests of IngestObjects, encoded, so that the client's own work is not measured. */
export function encodeBatches(objects: readonly IngestedObject[], batchSize: number): Buffer[] {
  const batches: Buffer[] = [];
  for (let start = 0; start < objects.length; start += batchSize) {
    const request = create(IngestObjectsRequestSchema, {
      project: PROJECT,
      position: String(start),
      objects: objects.slice(start, start + batchSize).map(toMessage),
    });
    batches.push(Buffer.from(toBinary(IngestObjectsRequestSchema, request)));
  }
  return batches;
}

function toMessage({ key, size, lastModified, ...rest }: IngestedObject) {
  return create(StorageObjectSchema, {
    ...rest,
    objectKey: key,
    size: BigInt(size),
    lastModified: timestampFromDate(lastModified),
  });
}
