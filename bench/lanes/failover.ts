/**
 * What callers notice when a node fails: through the built server, with the product's client. Kills
 * and promotions are those of the embedded cluster. Work: reads a second meanwhile.
 */

import type { Lane, RowSpec, Subject } from '../frame/lane.js';
import {
  failOverIdle,
  failOverLoaded,
  freezePrimary,
  freezeStandby,
} from '../rig/fault-episodes.js';
import type { Rig } from '../rig/rig.js';
import { Stage } from '../rig/stage.js';

/** Times differ with where a fault falls between two probes: their spread means nothing. */
const time = { unit: 'ms', better: 'lower', judgedBy: 'quartiles' } as const;
const failures = { unit: 'calls', better: 'lower', judgedBy: 'worst' } as const;

export const failover: Lane = {
  name: 'failover',
  summary: 'the primary is killed and another promoted, a node is frozen; under reads, and idle',
  rowsDefault: 250,
  repetitionsDefault: 10,
  rows: [
    { ...time, name: 'demoted', subject: 'loaded', measure: 'demotedMs', must: 100 },
    { ...time, name: 'demoted.killed', subject: 'loaded', measure: 'killedMs' },
    { ...time, name: 'write', subject: 'loaded', measure: 'writeMs', must: 250 },
    { ...time, name: 'write.promote', subject: 'loaded', measure: 'promoteMs' },
    { ...failures, name: 'writes-failed', subject: 'loaded', measure: 'writesFailed' },
    ...readRows('loaded', { failedMust: 0 }),
    { ...time, name: 'idle.demoted', subject: 'idle', measure: 'demotedMs', must: 500 },
    { ...time, name: 'idle.write', subject: 'idle', measure: 'writeMs', must: 250 },
    ...readRows('frozen-standby', { failedMust: 0, gapMust: 1000 }),
    { ...time, name: 'frozen-standby.left', subject: 'frozen-standby', measure: 'leftMs' },
    ...readRows('frozen-primary', { gapMust: 1000 }),
    { ...time, name: 'frozen-primary.left', subject: 'frozen-primary', measure: 'leftMs' },
  ],
  setup,
};

/** What readers meet; the rows of `loaded` have no name of their own. */
function readRows(
  subject: string,
  musts: { readonly failedMust?: number; readonly gapMust?: number },
): RowSpec[] {
  const { failedMust, gapMust } = musts;
  const name = (row: string) => (subject === 'loaded' ? row : `${subject}.${row}`);
  const failedBound = failedMust === undefined ? {} : { must: failedMust };
  const gapBound = gapMust === undefined ? {} : { must: gapMust };
  const failed = { ...failures, subject, measure: 'readsFailed', ...failedBound };
  return [
    { ...failed, name: name('reads-failed') },
    { ...failures, name: name('reads'), subject, measure: 'reads', better: 'higher' },
    { ...time, name: name('read-gap'), subject, measure: 'readGapMs', ...gapBound },
    { ...time, name: name('read-worst'), subject, measure: 'readWorstMs' },
  ];
}

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const stage = await Stage.open(rig);
  return {
    loaded: () => failOverLoaded(stage),
    idle: () => failOverIdle(stage),
    'frozen-standby': () => freezeStandby(stage),
    'frozen-primary': () => freezePrimary(stage),
  };
}
