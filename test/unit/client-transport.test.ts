import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { targetOf } from '../../src/client/endpoints.js';
import {
  createStowage,
  parseAddress,
  type TransportOptions,
  toStowageError,
} from '../../src/client/index.js';
import { settingsOf } from '../../src/client/options.js';
import { openDoors } from '../support/doors.js';
import { failure } from '../support/service.js';
import { certificate, openTlsProxy } from '../support/tls-proxy.js';

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
    for (const address of [
      '',
      'a b',
      'host:99999',
      'http://h/path',
      'http://u@h',
      'h?x=1',
      'h:',
      'h:/',
      'http://h:',
      '[::1]:',
    ]) {
      expect(() => parseAddress(address), address).toThrow(TypeError);
    }
  });

  it('repeats no password', () => {
    for (const address of ['u:hunter2@h', 'http://:hunter2@h:1/path', 'hunter2@h:x']) {
      expect(() => parseAddress(address)).toThrow('a server address holds no user and no password');
    }
  });
});

describe('targetOf', () => {
  it('says to grpc-js what was asked for', () => {
    const names = [
      ['localhost'],
      ['db.example:7'],
      ['10.0.0.1:80'],
      ['[::1]'],
      ['https://a.example'],
      ['https://a.example:443'],
      ['10.0.0.1', 'http://10.0.0.2:7'],
      ['[::1]:1', '[::2]'],
    ].map((endpoints) => targetOf(endpoints).name);
    expect(names).toEqual([
      'dns:localhost:50051',
      'dns:db.example:7',
      'ipv4:10.0.0.1:80',
      'ipv6:[::1]:50051',
      'dns:a.example:50051',
      'dns:a.example:443',
      'ipv4:10.0.0.1:50051,10.0.0.2:7',
      'ipv6:[::1]:1,[::2]:50051',
    ]);
  });

  it('refuses lists that grpc-js cannot connect to', () => {
    const refused: [string[], RegExp][] = [
      [[], /no endpoint/],
      [['a.example', 'b.example'], /IP addresses of one family/],
      [['10.0.0.1', '[::1]'], /IP addresses of one family/],
      [['http://10.0.0.1', 'https://10.0.0.2'], /not some of each/],
      [['10.0.0.1', 'a b'], /not a server address: a b/],
    ];
    for (const [endpoints, message] of refused) {
      expect(() => targetOf(endpoints)).toThrow(message);
      expect(() => createStowage({ endpoints })).toThrow(TypeError);
    }
  });
});

describe('the options of a client', () => {
  it('have these defaults', () => {
    expect(settingsOf({ endpoints: '127.0.0.1', token: '' })).toEqual({
      target: { name: 'ipv4:127.0.0.1:50051', isList: false, isSecure: false },
      tls: undefined,
      token: undefined,
      timeoutMs: 10_000,
      streamIdleTimeoutMs: 60_000,
      keepaliveIntervalMs: 10_000,
      keepaliveTimeoutMs: 5_000,
      interceptors: [],
    });
  });

  it('are refused where they contradict each other', () => {
    const refused: [TransportOptions, RegExp][] = [
      [{ endpoints: 'http://a.example', tls: true }, /plain text with http:, and tls/],
      [{ endpoints: ['https://10.0.0.1', 'https://10.0.0.2'] }, /tls.serverName/],
      [{ endpoints: ['10.0.0.1', '10.0.0.2'], tls: true }, /tls.serverName/],
    ];
    for (const [options, message] of refused) expect(() => settingsOf(options)).toThrow(message);
  });

  it.each([null, undefined, 7, {}, [null], ['127.0.0.1', undefined]])(
    'are refused where the endpoints are %j',
    (endpoints) => {
      const options = { endpoints } as unknown as TransportOptions;
      expect(() => createStowage(options)).toThrow(TypeError);
      expect(() => createStowage(options)).toThrow(/address .*such as host:50051.*, not /);
    },
  );

  it('are refused where no header can carry the token, which is not repeated', () => {
    for (const token of ['hunter2\n', 'hunter\r\n2', 'hünter2', 'hunter2\u0000']) {
      expect(() => createStowage({ endpoints: '127.0.0.1', token })).toThrow(
        'the token has a character that no header carries, such as a line break',
      );
    }
  });

  it('are refused where a time is none', () => {
    const endpoints = '127.0.0.1';
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      for (const name of ['timeoutMs', 'streamIdleTimeoutMs', 'keepaliveTimeoutMs']) {
        expect(() => createStowage({ endpoints, [name]: ms }), name).toThrow(RangeError);
      }
    }
    expect(() => settingsOf({ endpoints, keepaliveIntervalMs: 0 })).toThrow(
      'keepaliveIntervalMs must be from 1 to 2147483647 milliseconds, not 0',
    );
    expect(settingsOf({ endpoints, streamIdleTimeoutMs: 0 }).streamIdleTimeoutMs).toBe(0);
  });
});

describe('TLS', () => {
  it('is trusted by the certificates that are given, for the name that is asked for', async () => {
    const doors = await openDoors({ authToken: 'a-secret' });
    await using proxy = await openTlsProxy(doors.grpcUrl);
    const call = async (options: TransportOptions) => {
      await using client = createStowage({ token: 'a-secret', ...options });
      const { object } = await client.storage.getObject({ objectKey: 'a' });
      return object?.owner;
    };
    const endpoints = proxy.address;
    const ca = certificate;
    expect(await call({ endpoints, tls: { ca } })).toBe('token');
    expect(await call({ endpoints: `https://${endpoints}`, tls: { ca } })).toBe('token');
    const named = { ca, serverName: 'stowage.test' };
    expect(await call({ endpoints: [endpoints, endpoints], tls: named })).toBe('token');
    const elsewhere = { ca, serverName: 'elsewhere.test' };
    expect((await failure(call({ endpoints, tls: elsewhere }))).message).toMatch(/altname/i);
    expect((await failure(call({ endpoints, tls: true }))).message).toMatch(/self[- ]signed/);
    expect(await failure(call({ endpoints: doors.grpcUrl, token: 'other' }))).toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
    await doors.close();
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
