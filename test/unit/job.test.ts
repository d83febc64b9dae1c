import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createRunningJob,
  type Job,
  type JobOptions,
  type RunningJob,
} from '../../src/jobs/job.js';
import { deferred } from '../../src/lib/deferred.js';
import { type RecordedRuns, recordRuns } from '../support/job-runs.js';

let made = 0;

function jobOf(
  run: Job['run'],
  options: JobOptions & { readonly intervalMs?: number } = {},
): { running: RunningJob; recorded: RecordedRuns } {
  made += 1;
  const name = `test-${made}`;
  const running = createRunningJob({ name, intervalMs: options.intervalMs ?? 1, run }, options);
  const recorded = recordRuns(name);
  onTestFinished(async () => {
    recorded.stop();
    await running.stop();
  });
  return { running, recorded };
}

describe('a running job', () => {
  it('runs at once and then again and again, counted', async () => {
    const { running, recorded } = jobOf(async () => undefined);
    running.start();
    running.start();
    const runs = await recorded.first(3);
    expect(runs.map((run) => [run.outcome, run.runs])).toEqual([
      ['succeeded', 1],
      ['succeeded', 2],
      ['succeeded', 3],
    ]);
  });

  it('goes on after a failure, tells it, and forgets it after a success', async () => {
    let attempts = 0;
    const { running, recorded } = jobOf(
      async () => {
        attempts += 1;
        if (attempts <= 2) throw new Error(`attempt ${attempts}`);
      },
      { backoffMs: 1, intervalMs: 5 },
    );
    running.start();
    const runs = await recorded.first(3);
    expect(runs.map((run) => [run.outcome, run.failures])).toEqual([
      ['failed', 1],
      ['failed', 2],
      ['succeeded', 0],
    ]);
    expect(runs[0]?.error).toMatchObject({ message: 'attempt 1' });
  });

  it('waits no longer after a failure than after a success', async () => {
    const { running, recorded } = jobOf(async () => Promise.reject(new Error('always')), {
      intervalMs: 2,
      backoffMs: 3_600_000,
    });
    running.start();
    expect((await recorded.first(3)).map((run) => run.failures)).toEqual([1, 2, 3]);
  });

  it('ends a wait for the next run when it is stopped', async () => {
    const { running, recorded } = jobOf(async () => undefined, { intervalMs: 3_600_000 });
    running.start();
    await recorded.first(1);
    await running.stop();
    expect(recorded.runs).toHaveLength(1);
  });

  it('aborts a run that is going on and waits for its end', async () => {
    const begun = deferred<void>();
    const ended: unknown[] = [];
    const { running, recorded } = jobOf(async (signal) => {
      begun.resolve();
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      ended.push(signal.reason);
      throw signal.reason;
    });
    running.start();
    await begun.promise;
    await Promise.all([running.stop(), running.stop()]);
    expect(ended).toMatchObject([{ reason: 'DRAINING' }]);
    expect(recorded.runs).toMatchObject([{ outcome: 'stopped', failures: 0 }]);
  });

  it('leaves a run that does not end, tells it, and starts no second one beside it', async () => {
    const begun = deferred<void>();
    const end = deferred<void>();
    let running = 0;
    let together = 0;
    const { running: job, recorded } = jobOf(
      async () => {
        running += 1;
        together = Math.max(together, running);
        begun.resolve();
        await end.promise;
        running -= 1;
      },
      { stopTimeoutMs: 1 },
    );
    job.start();
    await begun.promise;
    await job.stop();
    expect(recorded.runs).toMatchObject([{ outcome: 'abandoned' }]);
    job.start();
    end.resolve();
    expect((await recorded.first(3)).map((run) => run.outcome)).toEqual([
      'abandoned',
      'succeeded',
      'succeeded',
    ]);
    expect(together).toBe(1);
  });

  it('does nothing when it is stopped without being started', async () => {
    const { running, recorded } = jobOf(async () => undefined);
    await running.stop();
    expect(recorded.runs).toEqual([]);
  });
});
