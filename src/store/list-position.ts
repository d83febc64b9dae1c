/** Where a page of a list begins, as its token carries it, and what a page has found. */

import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import { StowageError } from '../errors.js';
import type { Place } from './list-order.js';

/**
 * How a list goes on.
 * - `open`: behind the place, by whichever way is cheaper.
 * - `scan`: behind the place; the index of the metadata was found to be no help.
 * - `index`: behind the place, by the index of the metadata.
 * - `folder`: behind everything in the folder that is the key.
 */
export type Way = 'open' | 'scan' | 'index' | 'folder';

/** A place and the way on from there. */
export interface ListPosition extends Place {
  readonly way: Way;
}

/** What one way to list has found. */
export interface ListedPage {
  readonly objects: readonly StorageObject[];
  readonly folders: readonly string[];
  /** False where nothing at all was seen, as in a project that is not there. */
  readonly hasRows: boolean;
  /** False where the metadata is compared and the path has no index; then nothing was seen. */
  readonly isIndexed?: boolean;
  /** Undefined after the last page. */
  readonly next: ListPosition | undefined;
}

const WAYS: readonly string[] = ['open', 'scan', 'index', 'folder'] satisfies Way[];

/** No text of the database has a NUL; JSON would make six bytes of a control character. */
const SEPARATOR = '\0';

/** The position as text. */
export function formatPosition({ way, value, key }: ListPosition): string {
  return [way, value, key].join(SEPARATOR);
}

/**
 * Reads a position.
 * @throws StowageError PAGE_TOKEN_INVALID for the text of a program of another version.
 */
export function parsePosition(text: string): ListPosition {
  const [way = '', value, key] = text.split(SEPARATOR);
  if (!WAYS.includes(way) || value === undefined || key === undefined) {
    throw new StowageError('PAGE_TOKEN_INVALID');
  }
  return { way: way as Way, value, key };
}
