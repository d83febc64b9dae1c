/**
 * What the field mask of an object's update may name. Refuses what the service sets itself, what
 * belongs to the content, and what there is not.
 */

import { allowedBy, type FieldMask, type MaskRules, quoted } from './field-mask.js';

/** What an update may change; the order is that of a change's `changed_fields`. */
export const updatable = [
  'content_type',
  'storage_backend',
  'storage_class',
  'metadata',
  'owner',
  'purge_at',
] as const;

/** A column that an update may change. */
export type Updatable = (typeof updatable)[number];

/** What a mask names. */
export type UpdateMask = FieldMask<Updatable>;

const outputs: readonly string[] = ['id', 'revision', 'created_at', 'deleted_at'];
const content: readonly string[] = ['size', 'etag', 'last_modified', 'version_id'];

/** The rules of an object's masks. */
export const objectMask: MaskRules<Updatable> = {
  columns: updatable,
  map: 'metadata',
  refusal(path) {
    if (outputs.includes(path)) {
      return `${quoted(path)} is set by the service; ${allowedBy(objectMask)}`;
    }
    if (content.includes(path)) {
      return `${quoted(path)} is of the content: record the new content with RecordObject`;
    }
    if (path === 'object_key') {
      return '"object_key" says which object is meant; MoveObject gives it another key';
    }
    return undefined;
  },
};
