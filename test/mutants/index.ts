/**
 * Planted bugs, each around a whole router: the chaos run must catch every one of them. None of
 * this is ever part of a server that serves anybody.
 */

import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { dropAcks } from './dropped-ack.js';
import { leakLeases } from './leaked-lease.js';
import { readStale } from './stale-read.js';
import { writeTwice } from './write-twice.js';

/** By name: what makes a faulty router of a sound one. */
export const mutants = {
  'dropped-ack': dropAcks,
  'stale-read': readStale,
  'write-twice': writeTwice,
  'leaked-lease': leakLeases,
} as const satisfies Readonly<Record<string, (router: RouterHandle) => RouterHandle>>;

/** The name of a planted bug. */
export type MutantName = keyof typeof mutants;
