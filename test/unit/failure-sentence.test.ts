import { describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/cli/connection.js';
import { lostConnection } from '../../src/client/index.js';

describe('describeFailure', () => {
  it('lets nothing that a server says act on the terminal', () => {
    const error = lostConnection('gone\u001b]0;title\u0007\u202e');
    expect(describeFailure(error, 'host:1')).toBe(
      'host:1 does not answer: gone\\x1b]0;title\\x07\\u{202e}',
    );
    const plain = new Error('line\u001b[2J');
    expect(describeFailure(plain, 'host:1')).toBe('line\\x1b[2J');
  });
});
