import { describe, expect, it } from 'vitest';
import { transitionDetail } from '../../src/postgres/transition-detail.js';

const refused = Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), {
  code: 'ECONNREFUSED',
});

describe('transitionDetail', () => {
  it('tells the code of an error, and nothing else of it', () => {
    const event = { kind: 'lost', node: 'a:1' } as const;
    expect(transitionDetail(event, { node: 'a:1', to: 'unreachable' }, undefined, refused)).toBe(
      'a connection was refused or lost (ECONNREFUSED)',
    );
    const odd = Object.assign(new Error('x'), { code: 'it says: secret' });
    expect(transitionDetail(event, { node: 'a:1', to: 'unreachable' }, undefined, odd)).toBe(
      'a connection was refused or lost',
    );
  });

  it('names the node whose event moved another one, and says why it is fenced', () => {
    const event = { kind: 'demoted', node: 'b:1' } as const;
    const moved = transitionDetail(event, { node: 'a:1', to: 'fenced' }, 'diverged', undefined);
    expect(moved).toBe(
      'it has another role or start than it was known for (b:1): ' +
        'it has replayed what the present history lacks',
    );
    const token = { kind: 'token', timeline: 3, atMs: 0 } as const;
    const fenced = transitionDetail(token, { node: 'a:1', to: 'fenced' }, undefined, undefined);
    expect(fenced).toBe('a token tells of a newer timeline');
  });
});
