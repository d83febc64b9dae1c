// `stowage admin vacuum`, `reindex` and `cancel` over jobs that a test moves.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { adminCommand } from '../../src/cli/admin.js';
import { MaintenanceKind, MaintenanceState } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import { type AdminHandlers, openAdminDoor, runAdmin } from '../support/admin-door.js';

const jobId = '0193b2c4-7c00-7000-8000-000000000001';
const began = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 };

const running = {
  ...{ jobId, kind: MaintenanceKind.VACUUM, target: 'projects', startedAt: began },
  ...{ state: MaintenanceState.RUNNING, phase: 'scanning heap', done: 3n, total: 4n },
  unit: 'blocks',
};

const ended = (state: MaintenanceState, error = '') => ({
  ...running,
  ...{ state, error, endedAt: { ...began, seconds: began.seconds + 200n } },
});

/** A server whose job is as these say, one after the other; the last stays. */
function jobThatIs(...states: readonly (typeof running | Error)[]) {
  let asked = 0;
  const handlers: AdminHandlers = {
    vacuum: () => ({ job: running }),
    getMaintenanceJob() {
      const state = states[Math.min(asked, states.length - 1)];
      asked += 1;
      if (state instanceof Error) throw state;
      return { job: state ?? running };
    },
  };
  return handlers;
}

describe('stowage admin vacuum', () => {
  it('waits for the end and says how long it took', async () => {
    const handlers = jobThatIs(running, ended(MaintenanceState.SUCCEEDED));
    const { exitCode, stdout, stderr } = await runAdmin(handlers, ['vacuum', 'projects']);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: 'vacuum projects: done in 3 min 20 s\n',
    });
    expect(stderr).toBe(`admin: vacuum projects began as job ${jobId}\n`);
  });

  it('draws a line that changes on a terminal, and takes it away', async () => {
    const handlers = jobThatIs(ended(MaintenanceState.SUCCEEDED));
    const args = ['vacuum', 'projects'];
    const { stderr } = await runAdmin(handlers, args, { isTerminal: true });
    const drawn = stderr.split('\r\u001b[K');
    expect(drawn).toHaveLength(4);
    expect(drawn[2]).toMatch(
      /^vacuum projects: scanning heap, 75\.0 % \(3 of 4 blocks\), [\d.]+ m?s$/,
    );
    expect(drawn[3]).toBe('');
  });

  it('fails where the job fails, or somebody cancels it', async () => {
    const failing = jobThatIs(ended(MaintenanceState.FAILED, 'the disk is full'));
    const failed = await runAdmin(failing, ['vacuum', 'projects']);
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' });
    expect(failed.stderr).toContain(
      'stowage admin: vacuum projects: failed after 3 min 20 s: the disk is full\n',
    );
    const handlers = jobThatIs(ended(MaintenanceState.CANCELLED));
    const json = await runAdmin(handlers, ['vacuum', 'projects', '--json']);
    expect(json).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cancelled after') });
    expect(JSON.parse(json.stdout)).toMatchObject({ jobId, state: 'MAINTENANCE_STATE_CANCELLED' });
  });

  it('waits for a server that goes away, and not for one that has forgotten the job', async () => {
    const away = jobThatIs(new StowageError('DRAINING'), ended(MaintenanceState.SUCCEEDED));
    const done = await runAdmin(away, ['vacuum', 'projects'], { isTerminal: true });
    expect(done.exitCode).toBe(0);
    // Nor is it said meanwhile that the job is where it was.
    expect(done.stderr).toMatch(/scanning heap, .*trying again\n(?!.*scanning heap)/s);
    const forgotten = jobThatIs(new StowageError('MAINTENANCE_JOB_NOT_FOUND'));
    const lost = await runAdmin(forgotten, ['vacuum', 'projects']);
    expect(lost.exitCode).toBe(1);
    expect(lost.stderr).toMatch(/\nstowage admin: MAINTENANCE_JOB_NOT_FOUND: .*\n`stowage admin j/);
  });

  it('says that the job goes on where it cannot be asked about', async () => {
    const handlers = jobThatIs(new StowageError('UNAUTHENTICATED'));
    const { exitCode, stderr } = await runAdmin(handlers, ['vacuum', 'projects']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/\nstowage admin: UNAUTHENTICATED: .*\nThe job is left to the/);
  });

  it('prints the id alone with --detach, or the job', async () => {
    const handlers = { vacuum: () => ({ job: running }) };
    const detached = await runAdmin(handlers, ['vacuum', 'projects', '--detach']);
    expect(detached).toEqual({ exitCode: 0, stdout: `${jobId}\n`, stderr: '' });
    const json = await runAdmin(handlers, ['vacuum', 'projects', '--detach', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ jobId, phase: 'scanning heap' });
  });

  it('asks to cancel the job at Ctrl-C, says so and waits for its end', async () => {
    let isCancelled = false;
    let asked = 0;
    await using door = await openAdminDoor({
      vacuum: () => ({ job: running }),
      getMaintenanceJob() {
        asked += 1;
        return { job: isCancelled ? ended(MaintenanceState.CANCELLED) : running };
      },
      cancelMaintenanceJob(request) {
        isCancelled = request.jobId === jobId;
        return { job: running };
      },
    });
    const stderr = Object.assign(new PassThrough(), { isTTY: false });
    const shell = { stdin: new PassThrough(), stdout: new PassThrough(), stderr, exitCode: 0 };
    const command = adminCommand({ server: door.address }, shell);
    const ran = command.parseAsync(['vacuum', 'projects'], { from: 'user' });
    await until(() => asked > 0, { timeoutMs: 10_000, what: 'the job is asked about' });
    process.emit('SIGINT');
    await ran;
    expect(isCancelled).toBe(true);
    expect(shell.exitCode).toBe(130);
    expect(String(stderr.read())).toMatch(
      /admin: asking the server to cancel .* once more to leave it to .*\n.*: cancelled after/,
    );
  });
});

describe('stowage admin cancel', () => {
  it('says what becomes of the job', async () => {
    const cancel = (job: typeof running) =>
      runAdmin({ cancelMaintenanceJob: () => ({ job }) }, ['cancel', jobId]);
    expect(await cancel(running)).toMatchObject({
      exitCode: 0,
      stdout: 'vacuum projects: about to end\n',
    });
    expect(await cancel(ended(MaintenanceState.SUCCEEDED))).toMatchObject({
      exitCode: 0,
      stdout: 'vacuum projects: done in 3 min 20 s\n',
    });
  });
});
