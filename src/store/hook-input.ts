/** Hooks as callers give them, brought to the form in which they are compared and kept. */

import type { Hook } from '../../gen/stowage/v1/hook_pb.js';
import { invalidField } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { quoted } from './field-mask.js';
import { compareKeys } from './object-keys.js';

/** What an update may change, in the order of the message's fields; `secret` is kept apart. */
const VALUES = [
  'event_types',
  'key_prefix',
  'metadata_filter',
  'target',
  'disabled',
  'description',
] as const;

/** What an update's mask may name. */
type Updatable = (typeof VALUES)[number] | 'secret';

const updatable: readonly Updatable[] = [...VALUES, 'secret'];

/** The values of a hook, by the names of their columns. */
export interface HookValues {
  readonly event_types: readonly string[];
  readonly key_prefix: string;
  /** Canonical JSON text; null: it lets everything through. */
  readonly metadata_filter: string | null;
  readonly target: string;
  readonly disabled: boolean;
  readonly description: string;
}

const PATHS_MAX = 100;
const FILTER_BYTES_MAX = 4096;

/** Who reads a URL mends these, each in its own way: what is kept must mean one place. */
const MENDED = /[\s\\\p{Cc}]/u;

/** How each value is read from the message. */
const read: { readonly [Name in keyof HookValues]: (hook: Hook) => HookValues[Name] } = {
  event_types: eventTypes,
  key_prefix: (hook) => hook.keyPrefix,
  metadata_filter: (hook) => metadataFilter(hook.metadataFilter as JsonMap | undefined),
  target,
  disabled: (hook) => hook.disabled,
  description: (hook) => hook.description,
};

/**
 * The values of a new hook.
 * @throws StowageError INVALID_REQUEST.
 */
export function hookValues(hook: Hook): HookValues {
  return {
    event_types: read.event_types(hook),
    key_prefix: read.key_prefix(hook),
    metadata_filter: read.metadata_filter(hook),
    target: read.target(hook),
    disabled: read.disabled(hook),
    description: read.description(hook),
  };
}

/**
 * Those values of a hook that the mask names; what it does not name is not looked at.
 * @throws StowageError INVALID_REQUEST.
 */
export function maskedValues(hook: Hook, mask: ReadonlySet<Updatable>): Partial<HookValues> {
  const names = VALUES.filter((name) => mask.has(name));
  return Object.fromEntries(names.map((name) => [name, read[name](hook)]));
}

/**
 * Reads the mask of an update. `*` names all but the secret, which a caller that sends back what it
 * has read does not have.
 * @throws StowageError INVALID_REQUEST that names the path and what is allowed.
 */
export function readHookMask(paths: readonly string[]): ReadonlySet<Updatable> {
  const allowed = `name some of ${updatable.join(', ')}, or * alone`;
  if (paths.length === 0) throw invalidField('update_mask', `is empty; ${allowed}`);
  if (paths.length > PATHS_MAX) {
    const description = `has ${paths.length} paths, at most ${PATHS_MAX}`;
    throw invalidField('update_mask', description);
  }
  if (paths.includes('*')) {
    if (new Set(paths).size > 1) {
      throw invalidField('update_mask', '"*" names everything but the secret and stands alone');
    }
    return new Set(VALUES);
  }
  const columns = paths.map((path) => {
    const column = updatable.find((name) => name === path);
    if (column !== undefined) return column;
    throw invalidField('update_mask', `${quoted(path)} is no field to change; ${allowed}`);
  });
  return new Set(columns);
}

/** Each once and in byte order; several `*` in a row say no more than one. */
function eventTypes(hook: Hook): string[] {
  const types = new Set(hook.eventTypes.map((type) => type.replace(/\*+/g, '*')));
  if (types.size === 0) {
    throw invalidField('hook.event_types', 'must name at least one; "*" is every kind');
  }
  return [...types].sort(compareKeys);
}

function metadataFilter(filter: JsonMap | undefined): string | null {
  if (filter === undefined || Object.keys(filter).length === 0) return null;
  const text = canonicalJson(filter);
  if (Buffer.byteLength(text) > FILTER_BYTES_MAX) {
    throw invalidField('hook.metadata_filter', `must be at most ${FILTER_BYTES_MAX} bytes as JSON`);
  }
  return text;
}

/** No refusal repeats the URL: what stands in it where it should not may be a password. */
function target({ target: text }: Hook): string {
  if (text === '') return text;
  const refused = (description: string) => invalidField('hook.target', description);
  if (MENDED.test(text) || !/^https?:\/\/[^/?#]/i.test(text) || !URL.canParse(text)) {
    throw refused('must be a URL, such as https://example.com/hook');
  }
  const { username, password } = new URL(text);
  const authority = text.split('/', 3)[2] ?? '';
  if (username + password !== '' || authority.split(/[?#]/)[0]?.includes('@')) {
    throw refused('must name no user and no password; give the hook a secret');
  }
  if (text.includes('#')) throw refused('must have no fragment: none is sent');
  return text;
}
