import { describe, expect, it } from 'vitest';
import { serializeError } from '../../src/telemetry/log-errors.js';

const secret = 'Jane Doe, 12 High Street';

/** As the driver throws it. */
function serverError(message: string, facts: Record<string, unknown>): Error {
  return Object.assign(new Error(message), { name: 'error' }, facts);
}

describe('serializeError', () => {
  it('has name, code, message, frames and causes', () => {
    const inner = Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' });
    expect(serializeError(new TypeError('outer', { cause: inner }))).toEqual({
      type: 'TypeError',
      message: 'outer',
      stack: expect.stringMatching(/^TypeError: outer\n\s+at /),
      cause: expect.objectContaining({ message: 'no route', code: 'EHOSTUNREACH' }),
    });
  });

  it('leaves out what PostgreSQL says of rows and parameters', () => {
    const error = serverError('new row violates check constraint "objects_size"', {
      code: '23514',
      severity: 'ERROR',
      detail: `Failing row contains (${secret}).`,
      where: `unnamed portal parameter $3 = '${secret}'`,
      internalQuery: `select '${secret}'`,
      constraint: 'objects_size',
      table: 'storage_objects',
    });
    const logged = serializeError(error);
    expect(logged).toMatchObject({
      message: error.message,
      code: '23514',
      constraint: 'objects_size',
      table: 'storage_objects',
    });
    expect(JSON.stringify(logged)).not.toContain(secret);
  });

  it.each([
    ['22P02', `invalid input syntax for type json: "${secret} says "hello""`],
    ['22021', `invalid byte sequence: "${secret}`],
    ['42601', `syntax error in tsquery: "${secret}"`],
    ['22P02', `ungültige Eingabesyntax für Typ json: »${secret} "hello"«`],
    ['22P02', `syntaxe en entrée invalide : « ${secret} hello »`],
    ['22P02', `invalid input syntax for type json: "\n    at Jane\n    at hello"`],
  ])('leaves out the value that %s quotes', (code, message) => {
    const logged = JSON.stringify(serializeError(serverError(message, { code })));
    expect(logged).toContain(code);
    expect(logged).not.toContain('Jane');
    expect(logged).not.toContain('hello');
  });

  it('leaves out the text that is no JSON', () => {
    let error: unknown;
    try {
      JSON.parse(`{"a": ${secret}}`);
    } catch (thrown) {
      error = thrown;
    }
    expect(String(error)).toContain('Jane');
    expect(JSON.stringify(serializeError(error))).not.toContain('Jane');
  });

  it('leaves out what a collector or a caller hung on to an error', () => {
    const hung = { code: 401, data: secret, headers: secret };
    const error = serializeError(Object.assign(new Error('Unauthorized'), hung));
    expect(error).toMatchObject({ message: 'Unauthorized', code: '401' });
    expect(JSON.stringify(error)).not.toContain(secret);
    expect(JSON.stringify(serializeError({ password: secret }))).not.toContain(secret);
  });

  it('is bounded', () => {
    let error = new Error('x'.repeat(100_000));
    for (let depth = 0; depth < 50; depth += 1) {
      error = new AggregateError([error, error], 'y'.repeat(100_000), { cause: error });
    }
    expect(JSON.stringify(serializeError(error)).length).toBeLessThan(1_000_000);
  });
});
