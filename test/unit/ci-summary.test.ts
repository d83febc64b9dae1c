// The last line and the exit code of .ci/run, in every way that a run can end.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const script = join(import.meta.dirname, '..', '..', 'scripts', 'ci-summary.mjs');
const folder = mkdtempSync(join(tmpdir(), 'stowage-ci-summary-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const passed = { status: 'passed' };
const failed = { status: 'failed' };

/** The line and the exit code for a report, the status of the tests and failures outside them. */
function summary(report: unknown, status: number, otherFailures = 0): [string, number | null] {
  const path = join(folder, 'report.json');
  writeFileSync(path, typeof report === 'string' ? report : JSON.stringify(report));
  const args = [script, path, String(status), String(otherFailures)];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return [run.stdout, run.status];
}

const green = {
  numPassedTests: 2,
  testResults: [{ status: 'passed', assertionResults: [passed, passed] }],
};
const red = {
  numPassedTests: 1,
  testResults: [
    { status: 'failed', assertionResults: [passed, failed, failed] },
    { status: 'failed', assertionResults: [] },
  ],
};

it.each([
  ['a green run', green, 0, 0, '2 passed, 0 failed\n', 0],
  ['failed tests and a file that did not load', red, 1, 0, '1 passed, 3 failed\n', 1],
  ['green tests after a failed check', green, 0, 1, '2 passed, 1 failed\n', 1],
  ['green tests with an unhandled error', green, 1, 0, '2 passed, 1 failed\n', 1],
  ['an install that failed before any test', '', 1, 0, '0 passed, 1 failed\n', 1],
  ['a report cut short', '{"numPassed', 137, 0, '0 passed, 1 failed\n', 1],
  ['a run without tests', '', 0, 0, '0 passed, 1 failed\n', 1],
] as const)('sums up %s', (_, report, status, otherFailures, line, code) => {
  expect(summary(report, status, otherFailures)).toEqual([line, code]);
});
