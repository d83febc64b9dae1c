/** Which objects a list or a stream is about. */

import type { JsonObject } from '@bufbuild/protobuf';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';

/** The arguments that lists and streams share. */
export interface ObjectFilter {
  readonly prefix: string;
  /** Empty: every backend. */
  readonly storageBackend: string;
  /** Empty: every class. */
  readonly storageClass: string;
  /** What the metadata must contain; undefined or empty: anything. */
  readonly metadataFilter?: JsonObject | undefined;
  readonly showDeleted: boolean;
}

/** The metadata filter as text, keys in order; undefined where it lets everything through. */
export function metadataText({ metadataFilter = {} }: ObjectFilter): string | undefined {
  if (Object.keys(metadataFilter).length === 0) return undefined;
  return canonicalJson(metadataFilter as JsonMap);
}

/** What a page or resume token is bound to beside its call. */
export function filterBinding(filter: ObjectFilter): string[] {
  const { prefix, storageBackend, storageClass, showDeleted } = filter;
  const metadata = metadataText(filter) ?? '';
  return [prefix, storageBackend, storageClass, metadata, String(showDeleted)];
}
