// One vitest project a folder of the test pyramid: what may run side by side first, then what is
// told in milliseconds, one file at a time. `system` needs Debian packages, and is no part of
// `npm test`.
import { availableParallelism } from 'node:os';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

interface ProjectOptions {
  /** Whether the project's files share one embedded cluster, started before the first of them. */
  readonly cluster?: boolean;
  /** Whether the project's files start the built program. */
  readonly program?: boolean;
  /**
   * Whether each file loads its modules anew. Where not, half of the time of quick files is saved,
   * and no file may leave anything behind in a module.
   */
  readonly isolate?: boolean;
  /** Whether files run one after another: each wants the machine's clock and ports to itself. */
  readonly serial?: boolean;
  readonly testTimeoutMs?: number;
}

function project(
  name: string,
  include: readonly string[],
  options: ProjectOptions = {},
): TestProjectConfiguration {
  const { isolate = false, serial = false, testTimeoutMs = 30_000 } = options;
  const globalSetup = [
    ...(options.cluster ? ['test/support/global-setup.ts'] : []),
    ...(options.program ? ['test/support/build-setup.ts'] : []),
  ];
  return {
    extends: true,
    test: {
      name,
      include: [...include],
      testTimeout: testTimeoutMs,
      isolate,
      globalSetup,
      ...(serial ? { fileParallelism: false, sequence: { groupOrder: 1 } } : {}),
    },
  };
}

export default defineConfig({
  test: {
    pool: 'forks',
    // vitest would leave one of two cores idle: the tests mostly wait for PostgreSQL and programs.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    allowOnly: false,
    passWithNoTests: true,
    projects: [
      project('unit', ['test/unit/**/*.test.ts', 'test/tidy.test.ts', 'test/lock.test.ts']),
      project('postgres', ['test/postgres/**/*.test.ts', 'test/statements.test.ts'], {
        cluster: true,
        // Its files make statements of their own, and the registry of statements is one a process.
        isolate: true,
      }),
      project('services', ['test/services/**/*.test.ts', 'test/contract.test.ts'], {
        cluster: true,
      }),
      project('client', ['test/client/**/*.test.ts'], { cluster: true, program: true }),
      project('property', ['test/property/**/*.test.ts'], {
        cluster: true,
        testTimeoutMs: 120_000,
      }),
      project('embedded', ['test/embedded/**/*.test.ts', 'test/readme.test.ts'], {
        program: true,
        testTimeoutMs: 120_000,
      }),
      project('failover', ['test/failover/*.test.ts'], { testTimeoutMs: 120_000 }),
      project('timed', ['test/failover/timed/*.test.ts'], {
        serial: true,
        testTimeoutMs: 120_000,
      }),
      project('system', ['test/system/**/*.test.ts'], {
        program: true,
        serial: true,
        testTimeoutMs: 300_000,
      }),
    ],
  },
});
