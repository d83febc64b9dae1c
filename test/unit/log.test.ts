import { channel } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../../src/config.js';
import { type CallEnded, publishCallEnded } from '../../src/telemetry/events.js';
import { startLog } from '../../src/telemetry/log.js';

const call: CallEnded = {
  requestId: '0198c0de-0000-7000-8000-000000000001',
  method: 'stowage.v1.StorageService/GetObject',
  isKnown: true,
  trace: undefined,
  door: 'grpc',
  principal: 'anonymous',
  code: 0,
  reason: undefined,
  message: undefined,
  cause: undefined,
  durationMs: 1.23456,
};

function linesOf(level: LogLevel, publish: () => void): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const log = startLog(level, { write: (line) => void lines.push(JSON.parse(line)) });
  publish();
  log.stop();
  publish();
  return lines;
}

describe('startLog', () => {
  it('logs a call with its request id, by how it ended', () => {
    const lines = linesOf('debug', () => {
      publishCallEnded(call);
      publishCallEnded({ ...call, code: 5, reason: 'OBJECT_NOT_FOUND', message: 'none' });
      publishCallEnded({ ...call, code: 1, reason: 'CANCELLED', message: 'left' });
      publishCallEnded({ ...call, code: 13, reason: 'INTERNAL', cause: new Error('behind it') });
    });
    expect(lines.map(({ level }) => level)).toEqual([20, 40, 30, 50]);
    for (const line of lines) {
      expect(line).toMatchObject({ requestId: call.requestId, method: call.method });
    }
    expect(lines[0]).toMatchObject({ durationMs: 1.235 });
    expect(lines[3]).toMatchObject({ err: { message: 'behind it', stack: expect.any(String) } });
  });

  it('leaves out what is below its level', () => {
    expect(linesOf('warn', () => publishCallEnded(call))).toEqual([]);
  });

  it('tells of nodes but not of their first good news, of history, and of jobs that fail', () => {
    const lines = linesOf('info', () => {
      const node = { node: 'a:1', from: 'unknown', detail: 'seen' };
      channel('stowage:postgres:topology').publish({ ...node, to: 'primary' });
      channel('stowage:postgres:topology').publish({ ...node, to: 'unreachable' });
      channel('stowage:postgres:topology').publish({ ...node, to: 'standby' });
      channel('stowage:job-run').publish({ job: 'j', outcome: 'failed', error: new Error('why') });
      channel('stowage:job-run').publish({ job: 'j', outcome: 'succeeded' });
      const recorded = { node: 'a:1', detail: 'record timeline 2' };
      channel('stowage:postgres:history').publish(recorded);
      channel('stowage:postgres:history').publish({ ...recorded, cause: new Error('full') });
    });
    expect(lines).toMatchObject([
      { level: 40, node: 'a:1', to: 'unreachable' },
      { level: 30, node: 'a:1', to: 'standby' },
      { level: 40, job: 'j', outcome: 'failed', err: { message: 'why' } },
      { level: 30, node: 'a:1', detail: 'record timeline 2', msg: 'history recorded' },
      { level: 50, node: 'a:1', err: { message: 'full' }, msg: 'history not recorded' },
    ]);
  });
});
