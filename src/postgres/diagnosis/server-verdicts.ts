/** Whether the server keeps what it is given: durability, writes, clock. */

import type { DatabaseLogin } from '../../config.js';
import type { ClockFact, NodeFacts, SettingFact } from './facts.js';
import { type Finding, fail, ok, sqlName, warn } from './finding.js';
import { crashRisks } from './setting-risks.js';

type Settings = NodeFacts['settings'];

/** Turns a setting back where it was made: elsewhere it would have no effect. */
function turnOn(
  name: string,
  value: string,
  fact: SettingFact,
  { database, user }: DatabaseLogin,
): string[] {
  switch (fact.source) {
    case 'database':
      return [`alter database ${sqlName(database)} reset ${name};`];
    case 'user':
      return [`alter role ${sqlName(user)} reset ${name};`];
    case 'database user':
      return [`alter role ${sqlName(user)} in database ${sqlName(database)} reset ${name};`];
    case 'command line':
      return [`postgres -c ${name}=${value}`];
    default:
      return [`alter system set ${name} = ${value};`, 'select pg_reload_conf();'];
  }
}

/** The check `durability`. */
export function durabilityVerdict(settings: Settings, login: DatabaseLogin): Finding {
  const checks = [
    ['fsync', fail],
    ['full_page_writes', warn],
    ['synchronous_commit', warn],
  ] as const;
  for (const [name, verdict] of checks) {
    const fact = settings.get(name);
    if (fact?.setting !== 'off') continue;
    const remedy = turnOn(name, 'on', fact, login);
    return verdict('durability', `${name} is off`, `${crashRisks[name]} Turn it on:`, ...remedy);
  }
  const level = settings.get('synchronous_commit')?.setting ?? 'on';
  return ok('durability', `fsync and full_page_writes are on, synchronous_commit is ${level}`);
}

/** The check `writes`, of a primary. */
export function writesVerdict(settings: Settings, login: DatabaseLogin): Finding {
  const fact = settings.get('default_transaction_read_only');
  if (fact?.setting !== 'on') return ok('writes', 'the primary takes writes');
  return fail(
    'writes',
    `the primary is read-only: default_transaction_read_only is on (${fact.source})`,
    'Migrations fail. Providers turn it on when the disk is nearly full: make room first. Then ' +
      'turn it off, in a session that may write:',
    'set default_transaction_read_only = off;',
    ...turnOn('default_transaction_read_only', 'off', fact, login),
  );
}

/** How far two clocks may differ: times in answers are the server's, deadlines this machine's. */
const AHEAD_MAX_MS = 1_000;

/** The check `clock`. */
export function clockVerdict({ aheadMs, roundTripMs }: ClockFact): Finding {
  const uncertainMs = roundTripMs / 2;
  const differMs = Math.abs(aheadMs);
  const direction = aheadMs > 0 ? 'ahead of' : 'behind';
  if (differMs - uncertainMs <= AHEAD_MAX_MS) {
    const shown = Math.round(differMs);
    return ok(
      'clock',
      shown === 0 ? 'the same time as this machine' : `${shown} ms ${direction} this machine`,
    );
  }
  return warn(
    'clock',
    `the server's clock is ${(differMs / 1000).toFixed(1)} s ${direction} this machine's`,
    'Times in objects and the audit trail will mislead. Let a time service run on both machines:',
    'timedatectl set-ntp true',
  );
}
