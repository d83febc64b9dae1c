import { channel } from 'node:diagnostics_channel';
import { existsSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../../src/config.js';
import { type CallEnded, publishCallEnded } from '../../src/telemetry/events.js';
import { fileDestination, startLog } from '../../src/telemetry/log.js';

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
  it('logs each call in one line, by how it ended', () => {
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true };
    const lines = linesOf('debug', () => {
      publishCallEnded({ ...call, trace });
      publishCallEnded({ ...call, code: 5, reason: 'OBJECT_NOT_FOUND', message: 'none' });
      publishCallEnded({ ...call, code: 1, reason: 'CANCELLED', message: 'left' });
      publishCallEnded({ ...call, code: 13, reason: 'INTERNAL', cause: new Error('behind it') });
      publishCallEnded({ ...call, method: 'grpc.health.v1.Health/Check' });
    });
    expect(lines.map(({ level }) => level)).toEqual(['info', 'warn', 'info', 'error', 'debug']);
    expect(lines[0]).toEqual({
      level: 'info',
      time: expect.any(String),
      msg: 'call served',
      method: call.method,
      code: 'OK',
      door: 'grpc',
      principal: 'anonymous',
      durationMs: 1.235,
      requestId: call.requestId,
      traceId: trace.traceId,
    });
    expect(lines[1]).toMatchObject({
      code: 'NOT_FOUND',
      message: 'none',
      requestId: call.requestId,
    });
    expect(lines[3]).toMatchObject({ err: { message: 'behind it', stack: expect.any(String) } });
  });

  it('names the fields of a bad request, and not what is wrong with them, which is data', () => {
    const fields = [...Array.from({ length: 20 }, (_, index) => `f${index}`), 'k'.repeat(500)];
    const bad: CallEnded = { ...call, code: 3, reason: 'INVALID_REQUEST' };
    const [line, other] = linesOf('info', () => {
      publishCallEnded({ ...bad, message: 'secret', fields });
      publishCallEnded({ ...bad, fields: fields.slice(-1) });
    });
    expect(line).toMatchObject({ fields: fields.slice(0, 10) });
    expect(other).toMatchObject({ fields: ['k'.repeat(128)] });
    expect(JSON.stringify(line)).not.toContain('secret');
  });

  it('tells of a slow statement', () => {
    const slow = { statement: 's', node: 'a:1', role: 'primary', durationMs: 1200.4 };
    const [line] = linesOf('warn', () => {
      const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: false };
      channel('stowage:postgres:slow').publish({ ...slow, requestId: 'r', trace, planHash: '0f' });
    });
    expect(line).toMatchObject({
      ...slow,
      durationMs: 1200,
      level: 'warn',
      requestId: 'r',
      traceId: 'a'.repeat(32),
      planHash: '0f',
      msg: 'slow statement',
    });
    expect(line).not.toHaveProperty('params');
  });

  it('tells who sets its level, whatever it was and becomes', () => {
    const lines: Record<string, unknown>[] = [];
    const log = startLog('error', { write: (line) => void lines.push(JSON.parse(line)) });
    const by = { requestId: 'r', principal: 'token', trace: undefined };
    log.setLevel('silent', by);
    publishCallEnded({ ...call, code: 13, reason: 'INTERNAL' });
    log.setLevel('info', by);
    publishCallEnded(call);
    log.setLevel('warn', by);
    publishCallEnded(call);
    log.stop();
    expect(log.level).toBe('warn');
    expect(lines).toMatchObject([
      { level: 'info', from: 'error', to: 'silent', principal: 'token', requestId: 'r' },
      { level: 'info', from: 'silent', to: 'info' },
      { level: 'info', msg: 'call served' },
      { level: 'info', from: 'info', to: 'warn' },
    ]);
  });

  it.skipIf(!existsSync('/dev/full'))(
    'does without lines that the disk has no room for',
    async () => {
      const log = startLog('info', fileDestination(openSync('/dev/full', 'w')));
      // Node would end the process for an error that nobody has taken.
      const errors: unknown[] = [];
      const onError = (error: unknown) => errors.push(error);
      process.on('uncaughtExceptionMonitor', onError);
      for (let line = 0; line < 3; line += 1) publishCallEnded(call);
      log.stop();
      await new Promise(setImmediate);
      process.off('uncaughtExceptionMonitor', onError);
      expect(errors).toEqual([]);
    },
  );

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
      { level: 'warn', node: 'a:1', to: 'unreachable' },
      { level: 'info', node: 'a:1', to: 'standby' },
      { level: 'warn', job: 'j', outcome: 'failed', err: { message: 'why' } },
      { level: 'info', node: 'a:1', detail: 'record timeline 2', msg: 'history recorded' },
      { level: 'error', node: 'a:1', err: { message: 'full' }, msg: 'history not recorded' },
    ]);
  });
});
