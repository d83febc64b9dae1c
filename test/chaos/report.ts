/** What a run prints at its end: what was done, what went wrong on purpose, and what it came to. */

import type { Violation } from './history.js';
import type { Failover } from './recorder.js';
import { type RunResult, total } from './run.js';
import { STEADY_GOAL_MS } from './settle.js';

/** Violations that are printed whole; more of them rarely tell more. */
const VIOLATIONS_MAX = 10;

/** The summary of a run. */
export function summary(seed: number, result: RunResult): string {
  const { recorder, settlement, scraper, rounds, lostWithTail, durationMs } = result;
  const minutes = (durationMs / 60_000).toFixed(1);
  return [
    `seed ${seed}: ${minutes} minutes, ${rounds} rounds`,
    table('operations', recorder.operations),
    table('faults', recorder.faults),
    table('outcomes of attempts', recorder.outcomes),
    `${recorder.failovers.length} failovers; ${slowest(recorder.failovers)}`,
    `${lostWithTail} acknowledged writes lost with a tail that was cut off`,
    `steady after the last fault within ${settlement.slowestSteadyMs.toFixed(0)} ms, ` +
      `past ${STEADY_GOAL_MS} ms in ${settlement.roundsPastGoal} rounds; ` +
      `at most ${settlement.waitingPeak} callers in line, ` +
      `a server took at most ${(settlement.rssPeakBytes / 2 ** 20).toFixed(0)} MiB`,
    `${scraper.count} scrapes with the pages beside them, ` +
      `the slowest ${scraper.slowestMs.toFixed(0)} ms`,
  ].join('\n');
}

function table(title: string, counts: ReadonlyMap<string, number>): string {
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = rows.map(([name, count]) => `  ${String(count).padStart(9)}  ${name}`);
  return [`${title}: ${total(counts)}`, ...lines].join('\n');
}

function slowest(failovers: readonly Failover[]): string {
  const sorted = [...failovers].sort((a, b) => b.sincePromotionMs - a.sincePromotionMs);
  const [worst] = sorted;
  if (worst === undefined) return 'none was written after';
  const median = sorted[sorted.length >> 1]?.sincePromotionMs.toFixed(0);
  const most = `${worst.sincePromotionMs.toFixed(0)} ms`;
  const whole = Math.max(...failovers.map(({ sinceLossMs }) => sinceLossMs)).toFixed(0);
  return (
    `first write after the promotion: ${median} ms (median), ${most} (slowest); ` +
    `after the loss of the primary: ${whole} ms (slowest)`
  );
}

/** Broken promises with the lines of the history that show them. */
export function describeViolations(violations: readonly Violation[]): string {
  const shown = violations.slice(0, VIOLATIONS_MAX).map(({ rule, detail, lines }) => {
    const history = lines.map((line) => `    ${inJson(line)}`);
    return [`VIOLATION ${rule}: ${detail}`, ...history].join('\n');
  });
  const byRule = new Map<string, number>();
  for (const { rule } of violations) byRule.set(rule, (byRule.get(rule) ?? 0) + 1);
  return [...shown, table('violations', byRule)].join('\n');
}

function inJson(line: unknown): string {
  const text = JSON.stringify(line, (_, value: unknown) =>
    typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
  );
  return text ?? 'undefined';
}
