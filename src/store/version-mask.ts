/** What the field mask of a version's update may name: what is said of it, none of its facts. */

import { allowedBy, type MaskRules, quoted } from './field-mask.js';

/** What an update of a version may change; the order is that of a change's `changed_fields`. */
export const versionUpdatable = ['comment', 'tags'] as const;

const outputs: readonly string[] = ['is_latest', 'delete_marker', 'restored_from', 'created_at'];
const facts: readonly string[] = [
  ...['size', 'etag', 'content_type', 'last_modified', 'created_by', 'metadata'],
];

/** The rules of a version's masks. */
export const versionMask: MaskRules<(typeof versionUpdatable)[number]> = {
  columns: versionUpdatable,
  map: 'tags',
  refusal(path) {
    if (outputs.includes(path) || path === 'revision') {
      return `${quoted(path)} is set by the service; ${allowedBy(versionMask)}`;
    }
    if (facts.includes(path)) {
      return `${quoted(path)} is a fact of the version and never changes; record another version`;
    }
    if (path === 'object_key' || path === 'version_id') {
      return `${quoted(path)} says which version is meant; ${allowedBy(versionMask)}`;
    }
    return undefined;
  },
};
