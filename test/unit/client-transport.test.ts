import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { parseAddress, toStowageError } from '../../src/client/index.js';

describe('parseAddress', () => {
  it('completes what a person writes', () => {
    const given = ['localhost', '10.0.0.1:80', '[::1]:7', '[::1]', 'https://a.example'];
    expect(given.map((address) => parseAddress(address).origin)).toEqual([
      'http://localhost:50051',
      'http://10.0.0.1',
      'http://[::1]:7',
      'http://[::1]:50051',
      'https://a.example:50051',
    ]);
  });

  it('refuses what is no address', () => {
    for (const address of ['', 'a b', 'host:99999', 'http://h/path', 'http://u@h', 'h?x=1']) {
      expect(() => parseAddress(address), address).toThrow(TypeError);
    }
  });
});

describe('toStowageError', () => {
  it('reads reason, fields, metadata and delay from the details', () => {
    const error = new ConnectError('too much', Code.ResourceExhausted, undefined, [
      {
        desc: ErrorInfoSchema,
        value: {
          reason: 'OVERLOADED',
          domain: 'stowage.dev',
          metadata: { request_id: 'r1', project: 'p' },
        },
      },
      { desc: BadRequestSchema, value: { fieldViolations: [{ field: 'f', description: 'd' }] } },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
    ]);
    expect(toStowageError(error)).toMatchObject({
      message: 'too much',
      reason: 'OVERLOADED',
      retry: 'after_delay',
      code: Code.ResourceExhausted,
      violations: [{ field: 'f', description: 'd' }],
      metadata: { project: 'p' },
      requestId: 'r1',
      retryDelayMs: 1500,
    });
  });

  it('tells a lost connection from a refusal of something in between', () => {
    expect(toStowageError(new ConnectError('reset', Code.Aborted))).toMatchObject({
      reason: undefined,
      retry: 'same_request_id',
    });
    expect(toStowageError(new ConnectError('no', Code.PermissionDenied)).retry).toBe('never');
    expect(toStowageError(new TypeError('a defect')).retry).toBe('never');
  });

  it('knows no reason of another domain or a newer server', () => {
    for (const [reason, domain] of [
      ['OVERLOADED', 'example.com'],
      ['FROM_THE_FUTURE', 'stowage.dev'],
      ['toString', 'stowage.dev'],
    ] as const) {
      const error = new ConnectError('x', Code.Internal, undefined, [
        { desc: ErrorInfoSchema, value: { reason, domain } },
      ]);
      expect(toStowageError(error).reason).toBeUndefined();
    }
  });
});
