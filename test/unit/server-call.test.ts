import { describe, expect, it } from 'vitest';
import { methodIn, originOf } from '../../src/server/server-call.js';

describe('originOf', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::1', '::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['unknown', undefined],
    [undefined, undefined],
  ])('takes %s for the address %s', (peer, address) => {
    expect(originOf(peer, undefined)).toEqual({ address, userAgent: undefined });
  });

  it('cuts a user agent that is too long', () => {
    expect(originOf(undefined, 'x'.repeat(1000)).userAgent).toHaveLength(512);
  });
});

describe('methodIn', () => {
  it('takes the slash off, and cuts what is no method', () => {
    expect(methodIn('/a.B/C')).toBe('a.B/C');
    expect(methodIn('x'.repeat(10_000))).toHaveLength(256);
  });
});
