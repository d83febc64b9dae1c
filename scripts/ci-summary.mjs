// The last line of .ci/run: `N passed, N failed`, from vitest's JSON report. Plain JavaScript,
// because it must also speak when `npm ci` has failed and nothing is installed.
// Usage: node ci-summary.mjs REPORT STATUS FAILURES
import { readFileSync } from 'node:fs';

const [path = '', status = '1', otherFailures = '0'] = process.argv.slice(2);

/** A file that failed to load has no tests to count, and is itself one failure. */
function failuresOf(file) {
  const failed = file.assertionResults.filter((test) => test.status === 'failed').length;
  return failed === 0 && file.status === 'failed' ? 1 : failed;
}

let passed = 0;
let failed = Number(otherFailures);
try {
  const report = JSON.parse(readFileSync(path, 'utf8'));
  passed = report.numPassedTests;
  for (const file of report.testResults) failed += failuresOf(file);
} catch {
  // No report: the run ended before the tests did. The status below says so.
}
// An install that failed, an unhandled error, a killed run: failed, though no test says so.
if (status !== '0' && failed === 0) failed = 1;
if (passed === 0 && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
